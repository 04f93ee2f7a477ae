"""Report dead letters to people: which kinds there are, and each record as bytes and, where possible, decoded."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from fastavro import parse_schema, schemaless_reader

from k2.avro.wire_format import HEADER_LENGTH
from k2.exchanges import Exchange
from k2.silver.dead_letters.store import RECORD, dead_letter_database
from k2.sql import batches_of
from k2.storage.read_errors import named_read_errors

_LIST = """
select error_type, error_reasons, schema_id, count(*), min(kafka_timestamp), max(kafka_timestamp),
       arg_min(topic || '-' || "partition" || '@' || "offset", ("partition", "offset")),
       outcome is not null as is_resolved
from letters
group by error_type, error_reasons, schema_id, is_resolved
order by is_resolved, count(*) desc, error_type, error_reasons, schema_id
"""
_PAGE = 10_000


@dataclass(frozen=True)
class Cluster:
    """Dead letters of one exchange that failed alike, open or resolved, and the first of them."""

    exchange: str
    error_type: str
    error_reasons: list[str]
    schema_id: int | None
    count: int
    first_seen: datetime
    last_seen: datetime
    sample: str
    resolved: bool


@named_read_errors()
def clusters(lake: Path, exchanges: Iterable[Exchange]) -> list[Cluster]:
    """Group the dead letters by what is wrong with them; the resolved ones apart, at the end."""
    found = []
    for exchange in exchanges:
        with dead_letter_database(lake, exchange) as database:
            rows = database.execute(_LIST).fetchall()
        found += [Cluster(exchange.name, *row) for row in rows]
    return sorted(found, key=lambda cluster: cluster.resolved)


def dead_letter_at(
    lake: Path, exchange: Exchange, topic: str, partition: int, offset: int
) -> dict[str, Any] | None:
    """Return one dead letter with its resolution; None when there is none at these coordinates."""
    where = 'topic = ? and "partition" = ? and "offset" = ?'
    found = _rows(lake, exchange, where, [topic, partition, offset], 1)
    return found[0] if found else None


def newest_dead_letters(lake: Path, exchange: Exchange, limit: int) -> list[dict[str, Any]]:
    """Return the newest dead letters with their resolutions."""
    return _rows(lake, exchange, "true", [], limit)


def all_dead_letters(lake: Path, exchange: Exchange) -> Iterator[pa.RecordBatch]:
    """Return every dead letter with its resolution, by offset, a page at a time."""
    with named_read_errors(), dead_letter_database(lake, exchange) as database:
        query = f"select * from letters order by {RECORD}"  # noqa: S608 — our own names
        yield from batches_of(database.sql(query).to_arrow_reader(_PAGE))


def decoded(value: bytes | None, schemas: Mapping[int, str]) -> dict[str, Any] | None:
    """Decode the record with its writer's schema; None where the bytes do not allow it.

    For a person to look at: bytes left over after the record are ignored.
    """
    if value is None or len(value) < HEADER_LENGTH or value[0]:
        return None
    schema = schemas.get(int.from_bytes(value[1:HEADER_LENGTH], "big"))
    if schema is None:
        return None
    try:
        writer = parse_schema(orjson.loads(schema))
        record = schemaless_reader(BytesIO(value[HEADER_LENGTH:]), writer, None)
    # Garbage fails in as many ways as fastavro has lines.
    except Exception:
        return None
    return record if isinstance(record, dict) else None


@named_read_errors()
def _rows(
    lake: Path, exchange: Exchange, where: str, values: list[Any], limit: int
) -> list[dict[str, Any]]:
    query = (
        f"select * from letters where {where}"  # noqa: S608 — our own conditions
        f' order by kafka_timestamp desc, "partition", "offset" desc limit {limit}'
    )
    with dead_letter_database(lake, exchange) as database:
        chosen = database.execute(query, values)
        names = [column[0] for column in chosen.description or ()]
        return [dict(zip(names, row, strict=True)) for row in chosen.fetchall()]

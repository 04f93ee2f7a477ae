"""Read stored dead letters and their resolutions with DuckDB, without Spark."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from k2.exchanges import Exchange
from k2.silver.tables import dead_letters, resolutions
from k2.sql import utc_database
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import scan_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORD = 'topic, "partition", "offset"'
_LETTERS = """
create temp view letters as
select stored_letters.* exclude (message_id), outcome,
    coalesce(ledger.message_id, stored_letters.message_id) as message_id, replay_id, resolved_at
from stored_letters left join ledger using (topic, "partition", "offset")
"""


def dead_letter_database(lake: Path, exchange: Exchange) -> "DuckDBPyConnection":
    """Return a database with the view ``letters``: every dead letter, and its resolution or nulls.

    The columns are those of the dead-letter table, and ``outcome``, ``message_id``, ``replay_id``
    and ``resolved_at``. A table that does not exist is empty. Large results spill to disk.
    """
    database = utc_database()
    scan_table(lake, dead_letters(exchange)).create_view(database, "stored_letters")
    scan_table(lake, resolutions(exchange)).create_view(database, "ledger")
    database.execute(_LETTERS)
    return database


@named_read_errors()
def open_coordinates(lake: Path, exchange: Exchange, reason: str | None) -> pa.Table:
    """Return ``partition``, ``offset`` and ``schema_id`` of the dead letters that no replay resolved, in order.

    ``reason`` selects the dead letters that have this reason among theirs.
    """
    with dead_letter_database(lake, exchange) as database:
        return database.sql(
            'select "partition", "offset", schema_id from letters where outcome is null'
            " and (? is null or list_contains(error_reasons, ?)) order by all",
            params=[reason, reason],
        ).to_arrow_table()


@named_read_errors()
def records_of(lake: Path, exchange: Exchange, coordinates: pa.Table) -> pa.Table:
    """Return the dead letters at these coordinates of one partition, as rows of Bronze."""
    first, last = (coordinates["offset"][at].as_py() for at in (0, -1))
    with dead_letter_database(lake, exchange) as database:
        database.register("wanted", coordinates.select(["partition", "offset"]))
        return database.sql(
            'select topic, "partition", "offset", schema_id, kafka_timestamp, raw_record as value'
            ' from stored_letters semi join wanted using ("partition", "offset")'
            ' where "partition" = ? and "offset" between ? and ? order by "offset"',
            params=[coordinates["partition"][0].as_py(), first, last],
        ).to_arrow_table()


def in_chunks(coordinates: pa.Table, size: int) -> Iterator[pa.Table]:
    """Cut ordered coordinates into chunks of one partition and at most ``size`` records."""
    start, partitions = 0, coordinates["partition"].to_pylist()
    for at in range(1, len(partitions) + 1):
        is_end = at == len(partitions) or partitions[at] != partitions[start]
        if is_end or at - start == size:
            yield coordinates.slice(start, at - start)
            start = at


@named_read_errors()
def resolved_by(lake: Path, exchange: Exchange, replay_id: str) -> dict[str, int]:
    """Return how many dead letters a replay resolved, by outcome."""
    with dead_letter_database(lake, exchange) as database:
        counts = database.execute(
            "select outcome, count(*) from ledger where replay_id = ? group by all", [replay_id]
        ).fetchall()
    return {str(outcome): int(count) for outcome, count in counts}

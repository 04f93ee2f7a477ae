"""Run sample messages through an exchange's parser, schema, mapping and rules, without Kafka."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from k2.avro.encoding import Encoder, encoder
from k2.avro.schema_files import schema_text
from k2.exchanges import Exchange
from k2.exchanges.instruments import Instruments, shipped_instruments
from k2.exchanges.parsers import parser_of
from k2.exchanges.parsing import RawRecord
from k2.feeds.recordings import Line
from k2.silver.rules.apply_rules import TRADE
from k2.silver.transform import to_silver

OWN_SCHEMA_ID = 1  # nobody else's: the bytes stay here
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BRONZE = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("schema_id", pa.int32()),
        ("kafka_timestamp", pa.timestamp("us", "UTC")),
        ("value", pa.binary()),
    ]
)


@dataclass
class Validation:
    """What became of the sample messages; ``first_trades`` are rows of Silver.

    ``other`` messages hold no trade, ``rejected`` ones cannot be parsed. ``rejected`` and
    ``dead_letters`` count by reason.
    """

    messages: int = 0
    other: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    trades: int = 0
    repeated: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    first_trades: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Tell whether there are trades and none became a dead letter."""
        return self.trades > 0 and not self.dead_letters


def validate_messages(
    exchange: Exchange, messages: Iterable[str | bytes], limit: int = 5
) -> Validation:
    """Validate raw messages, received now; see :meth:`k2.exchanges.exchange.Exchange.validate`."""
    texts = (m.encode("utf-8", "surrogatepass") if isinstance(m, str) else m for m in messages)
    return validate_lines(exchange, (Line(message, None) for message in texts), limit)


def validate_lines(
    exchange: Exchange,
    lines: Iterable[Line],
    limit: int = 5,
    instruments: Instruments | None = None,
) -> Validation:
    """Validate recorded messages; keep the first ``limit`` trades.

    ``instruments`` say what the markets' names mean; without them the list that K2 ships.

    Raises:
        ConfigError: the exchange has no parser.
    """
    parse = parser_of(exchange.name)
    found = Validation()
    records: list[RawRecord] = []
    for line in lines:
        found.messages += 1
        parsed = parse(line.message, line.received_us or _now_us()) if line.message else None
        if parsed is None or parsed.kind == "other":
            found.other += 1
        elif parsed.rejected is not None:
            found.rejected[parsed.rejected] += 1
        else:
            records += parsed.trades
    if records:
        _decide(exchange, records, found, limit, instruments or shipped_instruments(exchange.name))
    return found


def _decide(
    exchange: Exchange,
    records: Sequence[RawRecord],
    found: Validation,
    limit: int,
    instruments: Instruments,
) -> None:
    """Encode the records, run Silver's transform on them, and count the outcomes."""
    reader = schema_text(exchange.reader_schema)
    bronze = bronze_rows(exchange, records, encoder(reader, OWN_SCHEMA_ID))
    seen: set[str] = set()
    decided = to_silver(bronze, exchange, {OWN_SCHEMA_ID: reader}, reader, instruments)
    for row in decided.to_pylist():
        if row["outcome"] != TRADE:
            found.dead_letters[", ".join(row["error_reasons"])] += 1
            continue
        found.trades += 1
        found.repeated += row["message_id"] in seen
        seen.add(row["message_id"])
        if len(found.first_trades) < limit:
            found.first_trades.append(row)


def bronze_rows(exchange: Exchange, records: Sequence[RawRecord], encode: Encoder) -> pa.Table:
    """Return raw records as rows of Bronze, in order of their offset.

    Silver compares times with the broker's timestamp, which is here the time at which the message was received.
    """
    now = _EPOCH + timedelta(microseconds=_now_us())
    rows = [
        {
            "topic": exchange.topic,
            "partition": 0,
            "offset": offset,
            "schema_id": OWN_SCHEMA_ID,
            "kafka_timestamp": now,
            "value": encode(record),
        }
        for offset, record in enumerate(records)
    ]
    return pa.Table.from_pylist(rows, schema=_BRONZE)


def _now_us() -> int:
    return (datetime.now(UTC) - _EPOCH) // timedelta(microseconds=1)

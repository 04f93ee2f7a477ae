"""Messages of an exchange through parser, raw schema and Silver's transform: no Kafka, no Spark.

It shows what a case after a public bug report becomes before duplicates are told apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.exchanges.instruments import Instruments, shipped_instruments
from k2.exchanges.parsers import PARSERS
from k2.silver.transform import to_silver
from tests.support.trades import arrow, bronze_row

RECEIVED = datetime(2026, 12, 1, tzinfo=UTC)
_SCHEMA_ID = 1


@dataclass
class Outcome:
    """What became of messages; ``silver`` are the rows of :func:`k2.silver.transform.to_silver`."""

    silver: pa.Table
    rejected: list[str] = field(default_factory=list)
    other: int = 0

    @property
    def trades(self) -> list[dict[str, Any]]:
        return [row for row in self.silver.to_pylist() if row["outcome"] == "trade"]

    @property
    def reasons(self) -> list[str]:
        letters = (row for row in self.silver.to_pylist() if row["outcome"] == "dead_letter")
        return [", ".join(row["error_reasons"]) for row in letters]


def outcome_of(
    exchange: Exchange,
    messages: Iterable[bytes],
    instruments: Instruments | None = None,
    market: str | None = None,
) -> Outcome:
    """Parse messages, encode their records and let Silver decide on them."""
    reader = schema_text(exchange.reader_schema)
    encode = encoder(reader, _SCHEMA_ID)
    received_us = int(RECEIVED.timestamp() * 1_000_000)
    values: list[bytes] = []
    rejected: list[str] = []
    other = 0
    for message in messages:
        parsed = PARSERS[exchange.name](message, received_us)
        if parsed.rejected is not None:
            rejected.append(parsed.rejected)
        other += parsed.kind == "other"
        for trade in parsed.trades:
            values.append(encode(trade if market is None else {**trade, "market": market}))
    rows = [
        bronze_row(exchange, value, offset, kafka_timestamp=RECEIVED)
        for offset, value in enumerate(values)
    ]
    silver = to_silver(
        arrow(bronze_trades(exchange), rows),
        exchange,
        {_SCHEMA_ID: reader},
        reader,
        instruments or shipped_instruments(exchange.name),
    )
    return Outcome(silver.sort_by("offset"), rejected, other)

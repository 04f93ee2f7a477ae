"""Rows written to a lake: Gold trades, a file for each call and hour, their bars, dead letters."""

from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from k2.bars.table import GOLD_OHLCV
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import dead_letters
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import rebuilt
from tests.support.bars import gold_row, plain_bars
from tests.support.trades import BROKER_TIME

_offsets = count()


def store_gold(lake: Path, *changes: dict[str, Any]) -> None:
    """Append one Gold row for each; ``changes`` replace columns."""
    stored = ensure_table(lake, GOLD_TRADES)
    schema = pa.schema(stored.schema().to_arrow())
    rows = [gold_row(next(_offsets), **change) for change in changes]
    write_deltalake(stored, rebuilt(pa.Table.from_pylist(rows, schema), GOLD_TRADES), mode="append")


def store_bars(lake: Path, *changes: dict[str, Any]) -> None:
    """Append the bars of such Gold rows."""
    stored = ensure_table(lake, GOLD_OHLCV)
    trades = [gold_row(next(_offsets), **change) for change in changes]
    rows = [
        {**bar, "is_final": True, "revision": 0, "bar_date": bar["bar_start"].date()}
        for bar in plain_bars(trades).values()
    ]
    bars = pa.Table.from_pylist(rows, pa.schema(stored.schema().to_arrow()))
    write_deltalake(stored, bars, mode="append")


def store_dead_letter(lake: Path, exchange: Exchange) -> None:
    """Append one dead letter."""
    stored = ensure_table(lake, dead_letters(exchange))
    row = {
        "raw_record": b"\0\1",
        "error_type": "rule",
        "error_reasons": ["price_not_positive"],
        "stage": "silver",
        "topic": exchange.topic,
        "partition": 0,
        "offset": next(_offsets),
        "kafka_timestamp": BROKER_TIME,
        "error_timestamp": BROKER_TIME,
        "dlq_date": BROKER_TIME.date(),
    }
    rows = pa.Table.from_pylist([row], pa.schema(stored.schema().to_arrow()))
    write_deltalake(stored, rows, mode="append")

"""Reads K2's Delta tables as plain rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

Row = dict[str, Any]

EXCHANGES = ("binance", "kraken", "coinbase")
_LATE = timedelta(minutes=5)


def rows(home: Path, table: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of a table, none when it does not exist; times in UTC."""
    folder = home / "lake" / table
    if not DeltaTable.is_deltatable(str(folder)):
        return
    stored = DeltaTable(str(folder)).to_pyarrow_dataset()
    for batch in stored.to_batches(columns=list(columns) if columns else None, batch_size=50_000):
        names = batch.schema.names
        for values in zip(
            *(map(_utc, column.to_pylist()) for column in batch.columns), strict=True
        ):
            yield dict(zip(names, values, strict=True))


def is_late(row: Row) -> bool:
    """The contract's rule: reached the broker more than 5 min after it happened."""
    return bool(row["kafka_timestamp"] - row["timestamp"] > _LATE)


def _utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value

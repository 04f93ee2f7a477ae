"""The Gold stream writes the trades of all exchanges to one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

from k2.engine.processor import BatchResult
from k2.engine.stream import BalanceCheck, Stream, Watermark
from k2.engine.upstream import new_rows
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.observability.recording import LATE
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from k2.storage.writers.writer import Batch, TableWriter, TxnId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def gold_stream(
    exchanges: Sequence[Exchange],
    settings: Settings,
    writer: TableWriter,
    checks: Sequence[BalanceCheck] = (),
) -> Stream:
    """Return the stream that unites the exchanges under one watermark, which is observed and drops nothing.

    The watermark is set after the union, so that a silent exchange does not hold it back: of several
    watermarks Spark would take the smallest. ``checks`` measure the exchanges' balance.
    """
    inputs = tuple(silver_trades(exchange) for exchange in exchanges)

    def source(spark: "SparkSession") -> "DataFrame":
        # Of each input: together they are one batch.
        limits = (settings.max_files_per_batch, settings.max_bytes_per_batch // len(inputs) + 1)
        trades = (new_rows(spark, settings, table, *limits).drop("schema_id") for table in inputs)
        return reduce(lambda one, other: one.unionByName(other), trades)

    return Stream(
        name=str(Layer.GOLD),
        layer=Layer.GOLD,
        exchange=None,
        version=1,
        tables=(GOLD_TRADES,),
        reads=inputs,
        source=source,
        is_in_every_batch=True,
        processor=GoldProcessor(settings.lateness_minutes),
        writer=writer,
        watermark=Watermark("timestamp", settings.lateness_minutes),
        checks=tuple(checks),
    )


@dataclass(frozen=True)
class GoldProcessor:
    """Writes Silver's trades to Gold, and counts those that are late."""

    lateness_minutes: int

    def process(self, batch: Batch, txn: TxnId) -> BatchResult:
        """Append the trades."""
        shape = partial(to_gold, lateness_minutes=self.lateness_minutes)
        gold = batch.map_arrow(shape, GOLD_TRADES.row_schema)
        written = gold.append(GOLD_TRADES, txn, count="is_late")
        return BatchResult(
            txn.app_id,
            txn.version,
            written,
            observed={LATE: written.counted},
            output=None if written.version is None else gold,
        )

    def close(self) -> None:
        """Nothing is open."""

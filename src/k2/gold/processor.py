"""The Gold stream: the trades of all exchanges in one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import DataFrame, SparkSession

from k2.engine.stream import BatchResult, ResultCallback, Stream
from k2.engine.upstream import new_rows
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.observability.hop_latencies import with_late_trades
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from k2.storage.writers.map_in_arrow import map_in_arrow
from k2.storage.writers.writer import TableWriter, TxnId


def gold_stream(exchanges: Sequence[Exchange], settings: Settings, writer: TableWriter) -> Stream:
    """Union the exchanges under one watermark, which observes and drops nothing.

    The watermark comes after the union: a silent exchange holds nothing back, as it would with
    a watermark an input, of which Spark takes the smallest.
    """
    inputs = tuple(silver_trades(exchange) for exchange in exchanges)

    def source(spark: SparkSession) -> DataFrame:
        # Of each input: together they are one batch.
        limits = (settings.max_files_per_batch, settings.max_bytes_per_batch // len(inputs) + 1)
        trades = (new_rows(spark, settings, table, *limits).drop("schema_id") for table in inputs)
        union = reduce(DataFrame.unionByName, trades)
        delay = f"{settings.lateness_minutes} minutes"
        timed = union.withWatermark("timestamp", delay)
        shape = partial(to_gold, lateness_minutes=settings.lateness_minutes)
        return with_late_trades(map_in_arrow(timed, shape, GOLD_TRADES.schema))

    return Stream(
        layer=Layer.GOLD,
        exchange=None,
        version=1,
        tables=(GOLD_TRADES,),
        reads=inputs,
        source=source,
        sink=lambda _: GoldProcessor(writer),
    )


@dataclass(frozen=True)
class GoldProcessor:
    """Writes a batch of Gold's rows to its table."""

    writer: TableWriter

    def write(self, rows: DataFrame, txn: TxnId, on_result: ResultCallback) -> None:
        """Append the batch."""
        with self.writer.batch(rows) as batch:
            written = batch.append(GOLD_TRADES, txn)
        on_result(BatchResult(txn.app_id, txn.version, written))

    def close(self) -> None:
        """Hold nothing."""

"""The Gold stream: the trades of all exchanges in one table."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession

from k2.exchanges import Exchange
from k2.io.table_writer import TableWriter
from k2.settings import Settings
from k2.streams.bronze import CopySink
from k2.streams.observed import with_late_trades
from k2.streams.stream import Stream
from k2.streams.upstream import new_rows
from k2.tables import GOLD_TRADES, Layer, silver_trades
from k2.transforms.gold import to_gold


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
        gold = to_gold(union.withWatermark("timestamp", delay), settings.lateness_minutes)
        return with_late_trades(gold)

    return Stream(
        layer=Layer.GOLD,
        exchange=None,
        version=1,
        tables=(GOLD_TRADES,),
        reads=inputs,
        source=source,
        sink=lambda _: CopySink(GOLD_TRADES, writer),
    )

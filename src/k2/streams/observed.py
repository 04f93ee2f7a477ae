"""What a query counts along with its batch, in the pass that it makes anyway.

Spark tells it in the batch's progress, as it does the watermark's; no column and no row is added.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from k2.observability.metrics import HOPS
from k2.observability.recording import LATE, OBSERVED


def with_late_trades(gold: DataFrame) -> DataFrame:
    """Count the late ones of Gold's trades."""
    return gold.observe(OBSERVED, F.count_if("is_late").alias(LATE))


def with_hops(silver: DataFrame) -> DataFrame:
    """Time the newest trade's way before Kafka had it, in seconds.

    From the exchange's time to the feed's, and from there to the broker's. Dead letters have no
    time of their own and do not count.
    """
    ends = ("timestamp", "ingestion_timestamp", "kafka_timestamp")
    ways = zip(HOPS, ends[:-1], ends[1:], strict=True)
    newest = F.when(F.col("timestamp").isNotNull(), F.col("kafka_timestamp"))
    return silver.observe(
        OBSERVED,
        *(F.max_by(_seconds(start, end), newest).alias(hop) for hop, start, end in ways),
    )


def _seconds(start: str, end: str) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / 1e6

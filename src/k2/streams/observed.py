"""What a query counts along with its batch, in the pass that it makes anyway.

Spark tells it in the batch's progress, as it does the watermark's; no column and no row is added.
Of a batch that is handed on in memory it is counted there.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from k2.observability.metrics import HOPS
from k2.observability.recording import LATE, OBSERVED

# Where a trade was and when, in their order.
STATIONS = ("timestamp", "ingestion_timestamp", "kafka_timestamp")


def with_late_trades(gold: DataFrame) -> DataFrame:
    """Count the late ones of Gold's trades."""
    return gold.observe(OBSERVED, F.count_if("is_late").alias(LATE))


def with_hops(silver: DataFrame) -> DataFrame:
    """Time the newest trade's way before Kafka had it, in seconds.

    From the exchange's time to the feed's, and from there to the broker's. Dead letters have no
    time of their own and do not count.
    """
    ways = zip(HOPS, STATIONS[:-1], STATIONS[1:], strict=True)
    newest = F.when(F.col("timestamp").isNotNull(), F.col("kafka_timestamp"))
    return silver.observe(
        OBSERVED,
        *(F.max_by(_seconds(start, end), newest).alias(hop) for hop, start, end in ways),
    )


def hops(silver: pa.Table) -> Mapping[str, float]:
    """Return what :func:`with_hops` counts, of the columns ``STATIONS``; empty without a trade."""
    trades = silver.filter(pc.is_valid(silver["timestamp"]))
    if not trades.num_rows:
        return {}
    newest = int(np.argmax(trades["kafka_timestamp"].cast(pa.int64()).to_numpy()))
    times = [trades[name][newest].cast(pa.int64()).as_py() / 1e6 for name in STATIONS]
    return {hop: times[place + 1] - times[place] for place, hop in enumerate(HOPS)}


def _seconds(start: str, end: str) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / 1e6

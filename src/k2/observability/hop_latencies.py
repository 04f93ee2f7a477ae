"""What is counted of a batch beside its rows."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from k2.observability.metrics import HOPS
from k2.observability.recording import LATE, OBSERVED

# Where a trade was and when, in their order.
HOP_TIMESTAMPS = ("timestamp", "ingestion_timestamp", "kafka_timestamp")


def with_late_trades(gold: DataFrame, name: str | Observation = OBSERVED) -> DataFrame:
    """Have Gold's own query count the late trades in the pass that it makes anyway.

    Spark tells it in the batch's progress, as it does the watermark's.
    """
    return gold.observe(name, F.count_if("is_late").alias(LATE))


def late_trades(gold: pa.Table) -> Mapping[str, float]:
    """Return what :func:`with_late_trades` counts, of the column ``is_late``."""
    return {LATE: pc.sum(gold["is_late"]).as_py() or 0}


def hop_latencies(silver: pa.Table) -> Mapping[str, float]:
    """Time the newest trade's way before Kafka had it, in seconds; empty without a trade.

    From the exchange's time to the feed's, and from there to the broker's: of the columns
    ``HOP_TIMESTAMPS``. Dead letters have no time of their own and do not count.
    """
    trades = silver.filter(pc.is_valid(silver["timestamp"]))
    if not trades.num_rows:
        return {}
    newest = int(np.argmax(trades["kafka_timestamp"].cast(pa.int64()).to_numpy()))
    times = [trades[name][newest].cast(pa.int64()).as_py() / 1e6 for name in HOP_TIMESTAMPS]
    return {hop: times[place + 1] - times[place] for place, hop in enumerate(HOPS)}

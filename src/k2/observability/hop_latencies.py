"""Latencies of a record's hops before it reached Kafka."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from k2.observability.metrics import HOPS

# Where a trade was and when, in their order.
HOP_TIMESTAMPS = ("timestamp", "ingestion_timestamp", "kafka_timestamp")


def hop_latencies(silver: pa.Table) -> Mapping[str, float]:
    """Return the newest trade's latencies before it reached Kafka, in seconds; empty without a trade.

    They are from the exchange to the feed, and from the feed to the broker, by the columns
    ``HOP_TIMESTAMPS``. Dead letters have no event time and do not count.
    """
    trades = silver.filter(pc.is_valid(silver["timestamp"]))
    if not trades.num_rows:
        return {}
    newest = int(np.argmax(trades["kafka_timestamp"].cast(pa.int64()).to_numpy()))
    times = [trades[name][newest].cast(pa.int64()).as_py() / 1e6 for name in HOP_TIMESTAMPS]
    return {hop: times[place + 1] - times[place] for place, hop in enumerate(HOPS)}

"""From the broker to a Gold commit, for every row, out of Gold itself."""

import json
from math import inf
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def freshness(
    gold: Path, log: list[Path], from_second: float, to_second: float = inf
) -> dict[str, float]:
    """Return p50, p99 and the largest of (commit − broker timestamp) in seconds.

    Only rows count whose broker timestamp is from ``from_second`` (epoch) on and before
    ``to_second``, so that a start and an end can be left out.
    """
    waits = []
    for commit in log:
        entries = [json.loads(line) for line in commit.read_text().splitlines()]
        info = next((e["commitInfo"] for e in entries if "commitInfo" in e), None)
        for add in (e["add"] for e in entries if "add" in e):
            if info is None or not add.get("dataChange", True):
                continue
            column = pq.read_table(
                gold / add["path"], columns=["kafka_timestamp"], partitioning=None
            )
            broker = column["kafka_timestamp"].cast("int64").to_numpy() / 1e6
            counts = (broker >= from_second) & (broker < to_second)
            waits.append((info["timestamp"] / 1e3 - broker)[counts])
    every = np.concatenate(waits) if waits else np.array([np.nan])
    return {
        "rows": int(every.size),
        "p50": round(float(np.percentile(every, 50)), 2),
        "p99": round(float(np.percentile(every, 99)), 2),
        "max": round(float(every.max()), 2),
    }

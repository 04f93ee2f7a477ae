"""From the broker to a Gold commit, for every row, out of Gold itself."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def freshness(gold: Path, log: list[Path], from_second: float) -> dict[str, float]:
    """Return p50, p99 and the largest of (commit − broker timestamp) in seconds.

    Only rows whose broker timestamp is at least ``from_second`` (epoch) count, so that a start-up can
    be left out.
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
            waits.append((info["timestamp"] / 1e3 - broker)[broker >= from_second])
    every = np.concatenate(waits) if waits else np.array([np.nan])
    return {
        "rows": int(every.size),
        "p50": round(float(np.percentile(every, 50)), 2),
        "p99": round(float(np.percentile(every, 99)), 2),
        "max": round(float(every.max()), 2),
    }

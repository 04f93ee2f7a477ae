"""From the broker to a Gold commit, for every row, out of Gold itself."""

import json
from math import ceil, inf
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]


def freshness(
    gold: Path, log: list[Path], from_second: float, to_second: float = inf
) -> dict[str, float]:
    """Return p50, p99 and the largest of (commit − broker timestamp) in seconds.

    Only rows count whose broker timestamp is from ``from_second`` (epoch) on and before
    ``to_second``, so that a start and an end can be left out.
    """
    broker, waits = _rows(gold, log)
    return _summary(waits[(broker >= from_second) & (broker < to_second)])


def by_minute(
    gold: Path, log: list[Path], from_second: float, to_second: float
) -> list[dict[str, float]]:
    """Return the same for each minute of the broker's time: how long a start is felt."""
    broker, waits = _rows(gold, log)
    minutes = (broker - from_second) // 60
    return [
        _summary(waits[(minutes == minute) & (broker < to_second)])
        for minute in range(ceil((to_second - from_second) / 60))
    ]


def _rows(gold: Path, log: list[Path]) -> tuple[Floats, Floats]:
    """Each row's broker timestamp and how long it took from there."""
    found: list[tuple[Floats, Floats]] = []
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
            found.append((broker, info["timestamp"] / 1e3 - broker))
    brokers, waits = zip(*found, strict=True) if found else ([np.array([])], [np.array([])])
    return np.concatenate(brokers), np.concatenate(waits)


def _summary(waits: Floats) -> dict[str, float]:
    every = waits if waits.size else np.array([np.nan])
    return {
        "rows": int(waits.size),
        "p50": round(float(np.percentile(every, 50)), 2),
        "p99": round(float(np.percentile(every, 99)), 2),
        "max": round(float(every.max()), 2),
    }

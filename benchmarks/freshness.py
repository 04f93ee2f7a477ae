"""From the broker to a Gold commit, for every row, out of Gold itself."""

import json
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.home import Home

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Waits:
    """Each row's broker timestamp (epoch seconds), and how many seconds after it Gold had the row."""

    broker: Floats
    seconds: Floats

    def between(self, first: float, end: float = inf) -> dict[str, float]:
        """Return p50, p99 and the largest.

        Only rows count whose broker timestamp is from ``first`` on and before ``end``, so that a
        start and an end can be left out.
        """
        waits = self.seconds[(self.broker >= first) & (self.broker < end)]
        every = waits if waits.size else np.array([np.nan])
        return {
            "rows": int(waits.size),
            "p50": round(float(np.percentile(every, 50)), 2),
            "p99": round(float(np.percentile(every, 99)), 2),
            "max": round(float(every.max()), 2),
        }

    def by_minute(self, first: float, end: float) -> list[dict[str, float]]:
        """Return the same for each minute: how long a start is felt."""
        starts = [first + 60 * minute for minute in range(ceil((end - first) / 60))]
        return [self.between(start, min(start + 60, end)) for start in starts]


def waits(home: Home) -> Waits:
    """Read how long the rows of a home's Gold took."""
    gold = home.folder / "lake" / "gold_trades"
    brokers, found = [np.array([])], [np.array([])]
    for commit in home.gold_log()[1:]:
        entries = [json.loads(line) for line in commit.read_text().splitlines()]
        info = next((e["commitInfo"] for e in entries if "commitInfo" in e), None)
        for add in (e["add"] for e in entries if "add" in e):
            if info is None or not add.get("dataChange", True):
                continue
            column = pq.read_table(
                gold / add["path"], columns=["kafka_timestamp"], partitioning=None
            )
            broker = column["kafka_timestamp"].cast("int64").to_numpy() / 1e6
            brokers.append(broker)
            found.append(info["timestamp"] / 1e3 - broker)
    return Waits(np.concatenate(brokers), np.concatenate(found))

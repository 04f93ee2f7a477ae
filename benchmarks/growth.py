"""How cost grows: with the backlog (it should be in proportion) and with a table's age (not at all)."""

import tempfile
import time
from datetime import UTC, datetime
from hashlib import md5
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from benchmarks.contenders import k2
from benchmarks.home import new_home
from benchmarks.log_times import watched
from benchmarks.source import preloaded
from benchmarks.truth import require_truth
from k2.exchanges.binance import BINANCE
from k2.settings import Settings
from k2.silver.tables import duplicates
from k2.storage.delta import ensure_table
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId

_YOUNG, _WINDOW = 10, 25  # versions: the first ones are of a cold process
_AGED = ("bronze_binance_trades", "silver_binance_trades", "gold_trades")
_UPKEEP = 96  # commits among which each kind of upkeep comes as often as among others
_BINANCE_SHARE = 0.8


def backlog(sizes: list[int]) -> dict[str, Any]:
    """Drain backlogs of several sizes; ``exponent`` is of CPU after start-up against records."""
    found = []
    for size in sizes:
        with preloaded(size) as source:
            figures = k2(source)
        public = figures.public()
        public["cpu_after_start"] = round(figures.cpu - figures.cpu_by_step["start"], 2)
        found.append(public)
    first, last = found[0], found[-1]
    grown = last["cpu_after_start"] / first["cpu_after_start"]
    marginal = (last["cpu"] - first["cpu"]) / (last["records"] - first["records"]) * 1e6
    return {
        "runs": found,
        "exponent": round(log(grown) / log(last["records"] / first["records"]), 3),
        "marginal_cpu_per_million": round(marginal, 1),
    }


def age(versions: int, records_a_batch: int = 40) -> dict[str, Any]:
    """Drain in tiny batches, so that the tables age while we watch what a commit takes.

    A table's ``exponent`` compares the medians of its first and last batches.
    """
    records = int(versions * records_a_batch / _BINANCE_SHARE)
    tiny = {"max_records_per_batch": str(records_a_batch), "max_files_per_batch": "1"}
    with preloaded(records) as source, new_home(**tiny, **source.addresses()) as home:
        lake = home.folder / "lake"
        with watched([lake / name for name in _AGED]) as times:
            home.k2("drain", "--timeout", "3600s")
        require_truth(lake, source.manifest)
        return {
            name: _by_age([times[name][file] for file in sorted(times[name])]) for name in _AGED
        }


def _by_age(times: list[float]) -> dict[str, float]:
    times = times[1:]  # without the table's own creation
    waits = [later - earlier for earlier, later in pairwise(times)]
    young = median(waits[_YOUNG : _YOUNG + _WINDOW])
    old = median(waits[-_WINDOW:])
    ages = (_YOUNG + _WINDOW / 2, len(waits) - _WINDOW / 2)
    return {
        "versions": len(times),
        "young_batch_ms": round(young * 1e3),
        "old_batch_ms": round(old * 1e3),
        "exponent": round(log(old / young) / log(ages[1] / ages[0]), 3),
    }


def commits(versions: int, rows: int = 500) -> dict[str, Any]:
    """CPU of one small commit against the number of commits before it, without Spark.

    What the writer does now and then, such as merging files, is among it. ``K2_KEPT_VERSIONS`` says
    how long the log may become.
    """
    table = duplicates(BINANCE)
    costs = []
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as folder:
        ensure_table(Path(folder), table)
        writer = ArrowWriter(Path(folder), LogRetention(Settings.load().kept_versions, readers={}))
        for number in range(versions):
            batch = _some_rows(number * rows, rows)
            began = time.process_time()
            writer.append(table, TxnId("benchmark/v1", number), batch)
            costs.append((time.process_time() - began) * 1e3)
    young, old = costs[_YOUNG : _YOUNG + _UPKEEP], costs[-_UPKEEP:]
    ages = (_YOUNG + _UPKEEP / 2, versions - _UPKEEP / 2)
    means = sum(young) / _UPKEEP, sum(old) / _UPKEEP
    return {
        "versions": versions,
        "young_commit_cpu_ms": round(means[0], 1),
        "old_commit_cpu_ms": round(means[1], 1),
        "exponent": round(log(means[1] / means[0]) / log(ages[1] / ages[0]), 3),
    }


def _digest(number: int) -> str:
    """As random as a trade's: files of numbers that grow are a tenth of the size."""
    return md5(str(number).encode(), usedforsecurity=False).hexdigest()


def _some_rows(first: int, number: int) -> pa.Table:
    now = pa.repeat(pa.scalar(datetime(2026, 1, 1, tzinfo=UTC), pa.timestamp("us", "UTC")), number)
    offsets = pa.array(range(first, first + number), pa.int64())
    return pa.table(
        {
            "message_id": [f"binance-20260101-{_digest(n)}" for n in range(first, first + number)],
            "topic": pa.repeat("market", number),
            "partition": pa.array([0] * number, pa.int32()),
            "offset": offsets,
            "kafka_timestamp": now,
            "dup_date": now.cast(pa.date32()),
        }
    )

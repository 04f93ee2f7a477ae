"""The five jobs and the bars on a standalone cluster of one worker and of two.

On a machine whose cores they share this says nothing of speed. It shows that the same plans run, that
their tasks spread over the workers and none runs in the driver, and what is shuffled.
"""

from typing import Any

from benchmarks.event_log import read
from benchmarks.home import new_home
from benchmarks.standalone import cluster, submit
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN

_PARTITIONS = 4
_WITH_FEED = (BINANCE, KRAKEN)
_JOBS = (
    *(("bronze", "--exchange", exchange.name) for exchange in _WITH_FEED),
    *(("silver", "--exchange", exchange.name) for exchange in _WITH_FEED),
    ("gold",),
    ("ohlcv",),
)


def scale_out(records: int, workers: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
    """Run every job on clusters of ``workers``, one core each, over the same records."""
    return [_run(records, count) for count in workers]


def _run(records: int, workers: int) -> dict[str, Any]:
    with new_home(topic_partitions=str(_PARTITIONS)) as home:
        home.k2("up", "--feed", "none", "--no-streams", "--detach")
        home.k2("simulate", "--rate", "max", "--count", str(records), "--json")
        jobs = []
        jars = home.k2("jars").strip()
        with cluster(home.folder, workers, cores=1) as master:
            for job in _JOBS:
                events = home.folder / "events" / "-".join(job)
                submit(home, master, jars, job, events)
                (log,) = events.iterdir()
                jobs.append({"job": " ".join(job), **read(log).summary()})
        home.require_balance()
        return {"workers": workers, "records": records, "jobs": jobs}


def as_markdown(runs: list[dict[str, Any]]) -> str:
    """Return the runs beside each other, a line a job."""
    counts = [run["workers"] for run in runs]
    head = [
        "job",
        *(f"{title}, {n} workers" for title in ("tasks by executor", "shuffled") for n in counts),
    ]
    lines = [
        f"| {' | '.join(head)} | in the driver | plans on both |",
        "| --- " * (len(head) + 2) + "|",
    ]
    for same in zip(*(run["jobs"] for run in runs), strict=True):
        tasks = [", ".join(map(str, job["tasks_by_executor"].values())) for job in same]
        shuffled = [f"{job['shuffle_written']:,}" for job in same]
        on_driver = sum(job["tasks_on_driver"] for job in same)
        plans = [set(map(tuple, job["plans"])) for job in same]
        cells = [
            same[0]["job"],
            *tasks,
            *shuffled,
            str(on_driver),
            f"{len(set.intersection(*plans))} of {len(set.union(*plans))}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"

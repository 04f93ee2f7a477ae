"""All jobs at once and continuously, on a standalone master and two workers of compose's size, while a feed goes on."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from k2.exchanges import EXCHANGES
from tests.checker.manifest import check_manifest
from tests.support.home import K2Home, wait_until
from tests.support.spark_cluster import cluster
from tests.support.submitted_jobs import BIN, ROOT, environment, start

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(2400)]

MINUTES = 10
RATE = "60/s"  # which two cores bear beside eight drivers and their executors
TRIGGER_SECONDS = "10"
END_SECONDS = 60.0  # a machine with work for ten; test_job_ends holds what an idle one takes
JOBS = {
    **{
        f"{layer}-{e.name}": (layer, "--exchange", e.name)
        for layer in ("bronze", "silver")
        for e in EXCHANGES
    },
    "gold": ("gold",),
    "ohlcv": ("ohlcv",),
}
TROUBLE = {"stream_retries", "stream_failed", "stop_failed", "maintenance_failed", "not_written"}


class Jobs:
    """Every job of K2 on one cluster; each logs to a file of its name beside the home."""

    def __init__(self, home: K2Home, jars: str, master: str) -> None:
        self.home, self.jars, self.master = home, jars, master
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        self.running[name] = start(self.home, self.jars, self.master, JOBS[name], log=name)

    def end(self, name: str) -> None:
        """Tell a job to end, and have it done so in time."""
        job = self.running.pop(name)
        assert job.poll() is None, self.said(name)
        job.terminate()
        job.wait(END_SECONDS)

    def said(self, name: str) -> str:
        return (self.home.folder.parent / name).read_text()

    def events(self, name: str) -> list[str]:
        lines = [line for line in self.said(name).splitlines() if line.startswith("{")]
        return [orjson.loads(line)["event"] for line in lines]

    def check_quality(self) -> None:
        """Do what compose's quality service does each minute; a finding is none of the jobs' trouble."""
        script = str(ROOT / "jobs" / "quality.py")
        subprocess.run(
            [BIN / "python", script, "--check", "due"],
            env=environment(self.home),
            cwd=self.home.folder.parent,
            capture_output=True,
            check=False,
        )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    home = K2Home(tmp_path / "home", K2_TRIGGER_SECONDS=TRIGGER_SECONDS, K2_LOG_FORMAT="json")
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    yield home
    home.run("down")
    home.kill_all()


def test_all_jobs_run_at_once_and_each_ends_and_goes_on(home: K2Home) -> None:
    manifest = home.folder.parent / "manifest.jsonl"
    jars = home.run_raw("jars").stdout.strip()
    ends_at = time.monotonic() + MINUTES * 60
    feed = home.start(
        "simulate", "--rate", RATE, "--for", f"{MINUTES * 60}s", "--manifest", manifest
    )
    # All topics are there by then.
    wait_until(lambda: manifest.exists() and manifest.stat().st_size > 50_000)
    with cluster(home, workers=2, cores=6, memory="6g") as master:
        jobs = Jobs(home, jars, master)
        for name in JOBS:
            jobs.start(name)
        for left, name in zip(range(len(JOBS), 0, -1), JOBS, strict=True):
            wait_until(
                lambda job=name: "batch_written" in jobs.events(job),
                why=lambda job=name: jobs.said(job),
            )
            jobs.check_quality()
            time.sleep(max((ends_at - time.monotonic()) / (left + 1), 0))
            jobs.end(name)
            jobs.start(name)
        assert feed.wait(MINUTES * 60) == 0, home.output.read_text()

        wait_until(
            lambda: check_manifest(home.folder, [manifest]) == [],
            why=lambda: str(check_manifest(home.folder, [manifest])[:3]),
        )

        assert home.json("balance")["balanced"] is True
        for name in JOBS:
            jobs.end(name)
            assert set(jobs.events(name)) & TROUBLE == set(), jobs.said(name)
    sent = len(manifest.read_text().splitlines())
    print(f"{sent:,} records in {MINUTES} minutes")

"""The jobs as `spark-submit` runs them: in one process, and on a standalone master and worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.checker.manifest import check_manifest
from tests.support.home import PATIENCE, K2Home, wait_until
from tests.support.spark_cluster import cluster
from tests.support.submitted_jobs import start, submit, submit_to_end

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(2400)]

JOBS = (
    ("bronze", "--exchange", "binance"),
    ("bronze", "--exchange", "kraken"),
    ("silver", "--exchange", "binance"),
    ("silver", "--exchange", "kraken"),
    ("gold",),
    ("ohlcv",),
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    """Kafka and the registry with 5,000 simulated records of all kinds, of which no stream knows."""
    home = K2Home(tmp_path / "home")
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    # Two exchanges show as much as three, with two starts of Spark less.
    count = ("--rate", "max", "--count", 5_000, "--coinbase", 0)
    home.run("simulate", *count, "--manifest", manifest(home))
    yield home
    home.run("down")
    home.kill_all()


@pytest.fixture
def jars(home: K2Home) -> str:
    return home.run_raw("jars").stdout.strip()


def test_each_job_runs_by_itself_in_one_process(home: K2Home, jars: str) -> None:
    for job in JOBS:
        submit_to_end(home, jars, "local[2]", job)

    assert check_manifest(home.folder, [manifest(home)]) == []
    assert home.json("balance")["balanced"] is True
    assert "delta-rs" in writer_of(home, "gold_trades")

    submit_to_end(home, jars, "local[2]", JOBS[-1])

    assert check_manifest(home.folder, [manifest(home)]) == []


@pytest.mark.slow
def test_the_jobs_run_on_a_standalone_cluster_with_sparks_writer(home: K2Home, jars: str) -> None:
    with cluster(home) as master:
        for job in JOBS:
            submit_to_end(home, jars, master, job)

    assert check_manifest(home.folder, [manifest(home)]) == []
    assert home.json("balance")["balanced"] is True
    assert "Delta-Lake" in writer_of(home, "gold_trades")


def test_a_second_job_on_the_same_table_is_refused_and_told_who_writes_it(
    home: K2Home, jars: str
) -> None:
    first = start(home, jars, "local[2]", ("bronze", "--exchange", "kraken"))
    try:
        wait_until(
            lambda: home.rows("bronze_kraken_trades"), why=(home.folder.parent / "job").read_text
        )

        second = submit(home, jars, "local[2]", ("bronze", "--exchange", "kraken"))

        said = second.stdout + second.stderr
        assert second.returncode == 2, said
        assert "bronze" in said
        assert any(f"process {pid}" in said for pid in pids_below(first.pid)), said
        assert "Traceback" not in said
        assert first.poll() is None
    finally:
        first.terminate()
        first.wait(PATIENCE)
    home.run("drain")
    assert check_manifest(home.folder, [manifest(home)]) == []


def manifest(home: K2Home) -> Path:
    return home.folder.parent / "manifest.jsonl"


def writer_of(home: K2Home, table: str) -> str:
    """What the newest append of a table says wrote it."""
    history = DeltaTable(str(home.folder / "lake" / table)).history()
    return str(next(entry for entry in history if entry["operation"] != "CREATE TABLE"))


def pids_below(pid: int) -> set[int]:
    import psutil

    return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}

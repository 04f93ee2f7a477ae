"""A job under `spark-submit` ends within seconds whoever of it is killed, and starts again at once."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from k2.home.locks import is_held
from k2.home.process_life import is_alive
from tests.checker.manifest import check_manifest
from tests.support.home import K2Home, wait_until
from tests.support.submitted_jobs import start, submit_to_end

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

END_SECONDS = 5.0
# Each with the lock that it holds while it runs.
JOBS = (
    (("bronze", "--exchange", "binance"), "bronze_binance_trades"),
    (("silver", "--exchange", "binance"), "silver_binance_trades"),
    (("gold",), "gold_trades"),
    (("ohlcv",), "gold_ohlcv"),
)
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[K2Home]:
    """Kafka and the registry with records that the jobs have not taken."""
    home = K2Home(tmp_path_factory.mktemp("ends") / "home")
    home.run("up", "--no-streams", "--detach")
    count = ("--rate", "max", "--count", 2_000, "--kraken", 0, "--coinbase", 0)
    home.run("simulate", *count, "--manifest", home.folder.parent / "manifest.jsonl")
    yield home
    home.run("down")
    home.kill_all()


@pytest.fixture(scope="module")
def jars(home: K2Home) -> str:
    return home.run_raw("jars").stdout.strip()


# The launching script becomes the JVM when it has found its command, so that it is met in between.
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_launching_script_that_is_killed_leaves_nothing_and_the_job_starts_at_once(
    home: K2Home, jars: str, number: signal.Signals
) -> None:
    job, table = JOBS[0]
    script = start(home, jars, "local[1]", job)
    wait_until(lambda: psutil.Process(script.pid).children())

    script.send_signal(number)

    require_end(script, [psutil.Process(script.pid)])
    wait_until(lambda: not jobs_of(home), END_SECONDS)
    assert not is_held(locks(home), table)
    submit_to_end(home, jars, "local[1]", job)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("victim", ["jvm", "python"])
def test_a_killed_job_ends_and_starts_again_at_once(
    home: K2Home, jars: str, victim: str, number: signal.Signals
) -> None:
    # Every job in turn; each has ended in order before the next begins.
    place = SIGNALS.index(number) + (victim == "python") * len(SIGNALS)
    job, table = JOBS[place % len(JOBS)]
    submitted, processes = begin(home, jars, job, table)

    (processes[0] if victim == "jvm" else processes[1]).send_signal(number)

    require_end(submitted, processes)
    assert not is_held(locks(home), table)
    submit_to_end(home, jars, "local[1]", job)


def test_after_all_of_it_every_record_is_where_it_belongs(home: K2Home, jars: str) -> None:
    for job, _ in JOBS:
        submit_to_end(home, jars, "local[1]", job)

    assert check_manifest(home.folder, [home.folder.parent / "manifest.jsonl"]) == []
    assert home.json("balance")["balanced"] is True


def begin(
    home: K2Home, jars: str, job: Sequence[str], table: str
) -> tuple["subprocess.Popen[bytes]", list[psutil.Process]]:
    """Start a job and wait until it holds its table; return it, and its JVM and Python."""
    submitted = start(home, jars, "local[1]", job)
    said: Callable[[], str] = (home.folder.parent / "job").read_text
    wait_until(lambda: is_held(locks(home), table), why=said)
    jvm = psutil.Process(submitted.pid)
    python = next(p for p in jvm.children() if any("jobs/" in word for word in cmdline(p)))
    return submitted, [jvm, python]


def require_end(submitted: "subprocess.Popen[bytes]", processes: list[psutil.Process]) -> None:
    began = time.monotonic()
    wait_until(
        lambda: submitted.poll() is not None and not any(map(is_alive, processes)),
        END_SECONDS,
        lambda: f"still there: {[p.pid for p in processes if is_alive(p)]} of {processes}",
    )
    print(f"ended after {time.monotonic() - began:.1f} s")


def jobs_of(home: K2Home) -> list[psutil.Process]:
    """What ``spark-submit`` has running for the home."""
    return [p for p in home.processes() if any("spark" in word for word in cmdline(p))]


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def locks(home: K2Home) -> Path:
    return home.folder / "run" / "locks"

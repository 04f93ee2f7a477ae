"""Kinds of jobs whose effects a test can count, and engines that run them here or in a process.

As a program, ``python -m tests.support.jobs HOME [POINT COUNT]``, it runs the jobs of a home and kills
itself without a word at the COUNT-th pass of a named point.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from k2 import errors
from k2.jobs import fault_points
from k2.jobs.delivery.dispatcher import Dispatcher
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobKinds, JobParams
from k2.jobs.model import Job, JobState, StepResult, StepStatus
from k2.jobs.outbox import Event
from k2.jobs.registry import Registry
from k2.retry import RetryPolicy
from k2.settings import Settings

QUICK = RetryPolicy(first_seconds=0.01, max_seconds=0.05)


class CountParams(JobParams):
    """Steps that each note that they ran in a ledger, a file."""

    steps: int = Field(3, ge=0, le=1_000, description="How many.")
    seconds: float = Field(0.0, ge=0, le=60)
    ledger: str = ""
    fails_at: int = -1
    failures: int = Field(99, description="How often the step fails before it works.")
    error: Literal["FailedError", "UnavailableError", "ValueError"] = "FailedError"
    may_fail: bool = False
    warns_at: int = -1


def _count(run: JobRun, params: CountParams) -> dict[str, Any]:
    def work(number: int) -> StepResult:
        end = time.monotonic() + params.seconds
        while time.monotonic() < end:
            time.sleep(0.01)
        if params.ledger:
            note(Path(params.ledger), f"{run.id} {number}")
        if number == params.fails_at:
            if params.ledger:
                note(Path(params.ledger), f"{run.id} failed")
                failed = noted(Path(params.ledger))[f"{run.id} failed"]
            else:
                failed = 1
            if failed <= params.failures:
                kind: Any = getattr(errors, params.error, ValueError)
                raise kind(f"step {number} cannot be done")
        status = StepStatus.WARNED if number == params.warns_at else StepStatus.OK
        return StepResult(rows=1, status=status, message="odd" if number == params.warns_at else "")

    run.expect(params.steps)
    for number in range(params.steps):
        run.step(
            f"count {number}",
            lambda number=number: work(number),
            may_fail=params.may_fail,
        )
    return {"counted": params.steps}


COUNT = JobKind("count", "Count to a number.", CountParams, _count)
KINDS = JobKinds([COUNT])


def note(ledger: Path, line: str) -> None:
    """Add a line, on the disk when this returns."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def noted(ledger: Path) -> Counter[str]:
    """Return how often each line was noted."""
    return Counter(ledger.read_text().splitlines()) if ledger.exists() else Counter()


def engine_of(settings: Settings, kinds: JobKinds | None = None, **options: Any) -> JobEngine:
    """Return an engine that is quick to see jobs and to retry; of this file's kinds, or others."""
    quick = EngineOptions(poll_seconds=0.05, policy=QUICK, **options)
    return JobEngine(settings, KINDS if kinds is None else kinds, quick)


def run_to_end(engine: JobEngine, kind: str, params: Mapping[str, Any]) -> Job:
    """Submit a job to an engine that runs, and return it once it has ended."""
    job = engine.registry.submit(kind, dict(params)).job
    return wait_for(engine.registry, job.id, lambda found: found.state.is_ended)


def wait_for(
    registry: Registry, job_id: str, until: Callable[[Job], Any], seconds: float = 60.0
) -> Job:
    """Return the job once it is as wanted."""
    end = time.monotonic() + seconds
    while not until(job := registry.job(job_id)):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {job}"
        time.sleep(0.02)
    return job


def wait_for_state(registry: Registry, job_id: str, state: JobState, seconds: float = 60.0) -> Job:
    """Return the job once it is in a state."""
    return wait_for(registry, job_id, lambda job: job.state is state, seconds)


def main(home: str, point: str = "", count: str = "1") -> None:
    """Run the jobs of a home until killed, by itself at a point."""
    left = int(count)

    def die_at(reached: str) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    fault_points.on_reach = die_at
    with engine_of(Settings.load(home=Path(home)), watch_seconds=0.5) as engine:
        dispatcher = Dispatcher(engine.database, [LedgerSink(Path(home))], QUICK, 0.05)
        dispatcher.start()
        sys.stdout.write("running\n")
        sys.stdout.flush()
        sys.stdin.read()
        dispatcher.stop()


class LedgerSink:
    """Takes events into a file of the home."""

    name = "ledger"

    def __init__(self, home: Path) -> None:
        self.file = home / "events"

    def deliver(self, event: Event) -> None:
        """Note the event."""
        note(self.file, f"{event.seq} {event.type} {event.subject}")

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def worker(home: Path, *arguments: str, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    """Run the jobs of a home in a process of its own; it ends with the block."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "worker.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.jobs", str(home), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
            cwd=Path(__file__).parents[2],
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_running(process: "subprocess.Popen[str]") -> None:
    """Wait until a worker runs jobs; it may have died at a point before."""
    assert process.stdout is not None
    process.stdout.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])

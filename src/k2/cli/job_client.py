"""Commands as clients of jobs: submit, show progress, end as the job does."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from k2.errors import InUseError
from k2.home.locks import is_held
from k2.jobs.database import Database
from k2.jobs.job_lookup import JobLookup
from k2.jobs.job_rows import UnknownJobError
from k2.jobs.json_values import error_of, stored_facts
from k2.jobs.model import Job, JobState
from k2.jobs.registry import Registry
from k2.settings import Settings

_LOOK_SECONDS = 0.2
DETACH_HELP = "Submit it and return; `k2 jobs watch` shows how it goes."


def run_as_job(
    settings: Settings,
    kind: str,
    params: Mapping[str, Any],
    *,
    title: str,
    detach: bool = False,
    key: str | None = None,
) -> dict[str, Any]:
    """Have a job done, by the service of this home or else here; return its result.

    Ctrl-C cancels it at its next step. With ``detach`` it is submitted only, which ends the command.

    Raises:
        K2Error: as the job failed.
        typer.Exit: it was detached, or cancelled.
    """
    from k2.jobs.kinds import KINDS

    KINDS.named(kind).validated(params)  # what is wrong is said before a registry is made
    if detach:
        with open_client(settings) as registry:
            job = registry.submit(kind, params, key=key).job
        typer.echo(f"{job.id} is {job.state}.{'' if serves(settings) else WAITS}")
        raise typer.Exit(0)
    return result_of(
        run_to_end(settings, lambda registry: registry.submit(kind, params, key=key).job, title)
    )


def run_to_end(settings: Settings, submit: Callable[[Registry], Job], title: str = "") -> Job:
    """Submit a job, and return it when it has ended. Ctrl-C cancels it at its next step.

    Where whoever ran it ends before the job has, it is run on here.
    """
    job: Job | None = None
    while job is None or not job.state.is_ended:
        with executing(settings) as registry:
            if job is None:
                job = submit(registry)
            job = watch(settings, registry, job, Console(stderr=True), title or job.id)
    return job


WAITS = " It runs once `k2 serve` or `k2 up` does."


def serves(settings: Settings) -> bool:
    """Tell whether a process runs the jobs of this home; assumed of PostgreSQL, which is shared."""
    return settings.ops_db is not None or is_held(settings.run / "locks", "jobs")


@contextmanager
def open_client(settings: Settings) -> Iterator[Registry]:
    """Open the registry to submit and steer jobs; it is made if it is not there."""
    from k2.jobs.engine import open_registry, prepare
    from k2.jobs.kinds import KINDS

    registry = open_registry(settings, KINDS)
    try:
        if not registry.database.exists():
            prepare(registry.database)
        yield registry
    finally:
        registry.database.close()


@contextmanager
def looking(settings: Settings) -> Iterator[JobLookup]:
    """Open the registry to look at it, which needs no engine."""
    from k2.jobs.kinds import KINDS

    lookup = JobLookup(Database(settings), KINDS)
    if not lookup.database.exists():
        raise UnknownJobError(f"There are no jobs in K2_HOME={settings.home} yet.")
    try:
        yield lookup
    finally:
        lookup.database.close()


@contextmanager
def executing(settings: Settings) -> Iterator[Registry]:
    """Open the registry with somebody who runs its jobs: the service, or else this process."""
    from k2.jobs.engine import JobEngine
    from k2.jobs.kinds import KINDS

    if not serves(settings):
        engine = JobEngine(settings, KINDS)
        try:
            engine.start()
        except InUseError:
            if not serves(settings):  # else somebody was faster
                raise
        else:
            try:
                yield engine.registry
            finally:
                engine.stop()
            return
    with open_client(settings) as registry:
        yield registry


def watch(settings: Settings, registry: Registry, job: Job, console: Console, title: str) -> Job:
    """Do as :func:`follow`. Ctrl-C cancels the job."""
    try:
        return follow(settings, registry, job, console, title)
    except KeyboardInterrupt:
        registry.cancel(job.id)
        console.print(f"Job {job.id} is cancelled at its next step.", highlight=False)
        raise


def follow(settings: Settings, registry: JobLookup, job: Job, console: Console, title: str) -> Job:
    """Show a job's progress, and return it when it has ended, or nobody runs jobs any more."""
    with console.status(f"{title} …") as spinner:
        while not (job := registry.job(job.id)).state.is_ended and serves(settings):
            spinner.update(f"{title} … {progress_text(job)}")
            time.sleep(_LOOK_SECONDS)
    return job


def progress_text(job: Job) -> str:
    """Say in a few words how far a job is."""
    if job.state is not JobState.RUNNING:
        return f"{job.state}"
    of = f" of {job.rows_total:,}" if job.rows_total else ""
    rows = f", {job.rows_done:,}{of} rows" if job.rows_done or job.rows_total else ""
    return f"{job.steps_done:,} steps{rows}"


def result_of(job: Job) -> dict[str, Any]:
    """Return the result of a job that has ended.

    Raises:
        K2Error: as it failed.
        typer.Exit: it was cancelled.
    """
    if job.state is JobState.FAILED:
        raise error_of(
            stored_facts(job.error or {"class": "FailedError", "message": no_reason(job)})
        )
    if job.state is JobState.CANCELLED:
        typer.echo(f"Job {job.id} was cancelled.", err=True)
        raise typer.Exit(1)
    return job.result or {}


def no_reason(job: Job) -> str:
    """Say why a job failed that left no reason."""
    return f"Job {job.id} was started {job.starts} times and ended its process each time."

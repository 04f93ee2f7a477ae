"""``k2 jobs``: submit durable jobs, look at them, and stop or go on with them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from k2.cli.app import group_of
from k2.cli.job_client import (
    WAITS,
    follow,
    looking,
    open_client,
    result_of,
    run_to_end,
    serves,
)
from k2.cli.options import parse_param, since_ms_of
from k2.cli.render.job import print_job, time_text
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError
from k2.jobs.database import Database
from k2.jobs.job_lookup import JobLookup
from k2.jobs.model import Job, JobState
from k2.jobs.registry import Registry
from k2.observability.logs import configure_logs
from k2.settings import Settings

jobs = group_of("Submit durable jobs, watch them, and pause, resume, cancel or retry them.")

_ID = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@jobs.command("submit")
def submit(
    kind: Annotated[str, typer.Argument(help="What to do; `k2 jobs kinds` lists them.")],
    params: Annotated[
        list[str] | None, typer.Option("--param", help="name=value; the value may be JSON.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key is the same job.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return as soon as it is submitted.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Submit a job and wait for its end, whose exit code is the command's.

    The service of this home runs it (`k2 serve`, `k2 up`); where there is none, this process does.
    """
    from k2.jobs.kinds import KINDS

    settings = _settings()
    given = dict(map(parse_param, params or []))
    KINDS.named(kind).validated(given)
    if detach:
        with open_client(settings) as registry:
            job = registry.submit(kind, given, key=key).job
        if as_json:
            print_json(job.as_json())
        else:
            typer.echo(f"{job.id} is {job.state}.{'' if serves(settings) else WAITS}")
        return
    job = run_to_end(settings, lambda registry: registry.submit(kind, given, key=key).job)
    with looking(settings) as lookup:
        _finish(lookup, job, as_json)


@jobs.command("kinds")
def kinds(as_json: _JSON = False) -> None:
    """List what can be submitted, with its parameters."""
    from k2.jobs.kinds import KINDS

    if as_json:
        print_json(
            [
                {"kind": k.name, "summary": k.summary, "params": k.params.model_json_schema()}
                for k in KINDS
            ]
        )
        return
    rows = [[k.name, ", ".join(k.params.model_fields), k.summary] for k in KINDS]
    print_table(
        "Kinds of jobs", dict.fromkeys(("kind", "parameters", "what it does"), "left"), rows
    )


@jobs.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only those in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Submitted since: 2h, or 2026-11-27T14:00:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the newest.")] = 20,
    as_json: _JSON = False,
) -> None:
    """List jobs, newest first."""
    settings, found = _settings(), []
    if Database(settings).exists():
        with looking(settings) as registry:
            found = registry.jobs(state=state, kind=kind, since_ms=since_ms_of(since), limit=limit)
    if as_json:
        print_json([job.as_json() for job in found])
        return
    headings = {"job": "left", "state": "left", "submitted": "left", "step": "left"}
    rows: list[list[Any]] = [
        [job.id, job.state, time_text(job.submitted_ms), job.step, job.rows_done] for job in found
    ]
    if found:
        print_table("Jobs", headings | {"rows": "right"}, rows)
    else:
        typer.echo("There are no such jobs.")


@jobs.command("show")
def show(job_id: _ID, as_json: _JSON = False) -> None:
    """Show a job: its parameters, its progress, and how its steps ended."""
    with looking(_settings()) as registry:
        print_job(registry, registry.job(job_id), as_json)


@jobs.command("logs")
def logs(job_id: _ID, as_json: _JSON = False) -> None:
    """Show a job's events and steps in order of time."""
    from k2.jobs.outbox import events_about

    with looking(_settings()) as registry:
        registry.job(job_id)
        with registry.database.reading() as connection:
            events = events_about(connection, job_id, limit=10_000)
    if as_json:
        print_json([asdict(event) for event in events])
        return
    for event in events:
        name = event.type.removeprefix("io.k2.job.")
        step = f"  {event.data['step']}" if event.data.get("step") else ""
        typer.echo(f"{time_text(event.created_ms)}  {name:<10}{step}")


@jobs.command("watch")
def watch_job(job_id: _ID, as_json: _JSON = False) -> None:
    """Wait for a job's end, whose exit code is the command's. Ctrl-C leaves the job running."""
    settings = _settings()
    with looking(settings) as registry:
        job = registry.job(job_id)
        if not (job.state.is_ended or serves(settings)):
            raise ConfigError(f"{job_id} is {job.state} and nobody runs it.{WAITS}")
        end = follow(settings, registry, job, Console(stderr=True), job_id)
        if not end.state.is_ended:
            raise ConfigError(f"{job_id} is {end.state}, and who ran it has ended.{WAITS}")
        _finish(registry, end, as_json)


@jobs.command("pause")
def pause(job_id: _ID, as_json: _JSON = False) -> None:
    """Let a job stand still at its next step."""
    _steer(job_id, lambda registry: registry.pause(job_id), as_json)


@jobs.command("resume")
def resume(job_id: _ID, as_json: _JSON = False) -> None:
    """Let a paused job go on where it stands."""
    _steer(job_id, lambda registry: registry.resume(job_id), as_json)


@jobs.command("cancel")
def cancel(job_id: _ID, as_json: _JSON = False) -> None:
    """End a job at its next step; what is done stays."""
    _steer(job_id, lambda registry: registry.cancel(job_id), as_json)


@jobs.command("retry")
def retry(job_id: _ID, as_json: _JSON = False) -> None:
    """Run a failed or cancelled job again from the step that did not end."""
    _steer(job_id, lambda registry: registry.retry(job_id), as_json)


@jobs.command("resend")
def resend(
    sink: Annotated[str | None, typer.Option(help="Only this sink's events.")] = None,
    as_json: _JSON = False,
) -> None:
    """Send again what a sink has refused, and at once what waits for its next attempt."""
    from k2.jobs.delivery.backlog import send_again

    with looking(_settings()) as registry:
        count = send_again(registry.database, sink)
        left = registry.undelivered()
    if as_json:
        print_json({"events": count, "undelivered": left})
    else:
        typer.echo(f"{count:,} events are sent again.")


def _settings() -> Settings:
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    return settings


def _steer(job_id: str, request: Callable[[Registry], Job], as_json: bool) -> None:
    settings = _settings()
    with open_client(settings) as registry:
        job = request(registry)
    if as_json:
        print_json(job.as_json())
        return
    wish = f", to be {job.wish}d" if job.state is JobState.RUNNING and job.wish != "run" else ""
    typer.echo(f"{job_id} is {job.state}{wish}.")


def _finish(registry: JobLookup, job: Job, as_json: bool) -> None:
    print_job(registry, job, as_json)
    result_of(job)

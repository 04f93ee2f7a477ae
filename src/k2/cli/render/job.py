"""How a job is printed."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
import typer

from k2.cli.render.printing import print_json
from k2.jobs.job_lookup import JobLookup
from k2.jobs.model import Job, Report


def print_job(registry: JobLookup, job: Job, as_json: bool) -> None:
    """Print a job and how its steps ended."""
    report = Report.of(registry.steps(job.id))
    if as_json:
        print_json(job.as_json() | {"report": asdict(report)})
        return
    facts: dict[str, Any] = {
        "job": job.id,
        "state": job.state if job.wish == "run" else f"{job.state} ({job.wish} asked for)",
        "parameters": orjson.dumps(job.params).decode(),
        "submitted": time_text(job.submitted_ms),
        "started": time_text(job.started_ms),
        "ended": time_text(job.ended_ms),
        "steps": ", ".join(f"{count} {name}" for name, count in report.totals.items()),
        "rows": f"{job.rows_done:,}" + (f" of {job.rows_total:,}" if job.rows_total else ""),
        "result": orjson.dumps(job.result).decode()[:500] if job.result else "",
        "error": (job.error or {}).get("message", ""),
    }
    for name, value in facts.items():
        if value:
            typer.echo(f"{name:>10}  {value}")
    for title, steps in (("failed", report.failed), ("warned", report.warned)):
        for step in steps:
            typer.echo(f"{title:>10}  {step.name}: {step.message}")
    for step in report.slowest:
        typer.echo(f"{'slowest':>10}  {step.seconds:.1f} s {step.name}")


def time_text(ms: int) -> str:
    """Return a time in milliseconds since 1970 as a person reads it; empty for 0."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if ms else ""

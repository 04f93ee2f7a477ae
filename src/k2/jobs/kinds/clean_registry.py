"""``clean-registry``: jobs, events and uploads that are older than anybody asks for go."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from k2.jobs.clock import now_ms
from k2.jobs.database import BUSY_SECONDS, Database
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams, QueueName
from k2.jobs.model import StepResult, StepStatus
from k2.jobs.schedule import ScheduledJob

if TYPE_CHECKING:
    from sqlalchemy import Connection

_DAY_MS = 86_400_000
_AT_ONCE = 500
_MAX_FREE_SHARE = 0.5  # of the file, before it is written anew

# Ended before a time, the short-lived kinds that went well before a later one.
_OLD_JOBS = """
    SELECT id FROM k2_job WHERE state IN ('completed', 'failed', 'cancelled') AND
    (ended_ms < :before OR (ended_ms < :soon AND state = 'completed' AND kind IN :short))
    ORDER BY seq LIMIT :most
"""


class CleanRegistryParams(JobParams):
    """Nothing to choose: ``K2_JOBS_KEPT_DAYS`` says what is old."""


def run_clean_registry(run: JobRun, _params: CleanRegistryParams) -> dict[str, Any]:
    """Delete some hundred jobs a step, then events, uploads, and the room that they took."""
    before = now_ms() - int(run.settings.jobs_kept_days * _DAY_MS)
    jobs, number = 0, 1
    while deleted := run.step(f"delete jobs {number}", partial(_delete_jobs, run, before)).rows:
        jobs, number = jobs + deleted, number + 1
    events = run.step("delete events", partial(_delete_events, run, before))
    uploads = run.step("delete uploads", partial(_delete_uploads, run, before)).rows
    freed = run.step("give room back", partial(_give_room_back, run.database)).data
    return {
        **{"jobs": jobs, "events": events.rows, "uploads": uploads},
        **{"undelivered": events.data["undelivered"], **freed},
    }


def _delete_jobs(run: JobRun, before: int) -> StepResult:
    from k2.jobs.engine.queue import JobQueue
    from k2.jobs.kinds import KINDS

    short = {kind.name: kind.kept_days for kind in KINDS if kind.kept_days is not None}
    soon = now_ms() - int(min(short.values(), default=0.0) * _DAY_MS)
    query = text(_OLD_JOBS).bindparams(bindparam("short", expanding=True))
    with run.database.reading() as connection:
        found = connection.execute(
            query,
            {"before": before, "soon": soon, "short": list(short) or [""], "most": _AT_ONCE},
        )
        ids = list(found.scalars())
    if ids:
        JobQueue(run.database, KINDS).delete(ids)  # first: what is half done is found again
        _write(run.database, lambda connection: _forget(connection, ids))
    return StepResult(rows=len(ids))


def _forget(connection: "Connection", ids: list[str]) -> int:
    for query in (
        "DELETE FROM k2_table_request WHERE id LIKE :id || '-%'",
        "DELETE FROM k2_job WHERE id = :id",
    ):
        connection.execute(text(query), [{"id": id_} for id_ in ids])
    return len(ids)


def _delete_events(run: JobRun, before: int) -> StepResult:
    """Those that no sink has taken for so long go too, and that is said."""
    old = "SELECT seq FROM k2_outbox WHERE created_ms < :before"

    def delete(connection: "Connection") -> tuple[int, int]:
        values = {"before": before}
        undelivered = connection.execute(
            text(f"DELETE FROM k2_delivery WHERE seq IN ({old})"), values  # noqa: S608
        ).rowcount
        events = connection.execute(
            text("DELETE FROM k2_outbox WHERE created_ms < :before"), values
        ).rowcount
        return events, undelivered

    events, undelivered = _write(run.database, delete)
    days = run.settings.jobs_kept_days
    return StepResult(
        rows=events,
        status=StepStatus.WARNED if undelivered else StepStatus.OK,
        message=f"{undelivered} were not delivered within {days:g} days" if undelivered else "",
        data={"undelivered": undelivered},
    )


def _delete_uploads(run: JobRun, before: int) -> StepResult:
    with run.database.reading() as connection:
        wanted = " ".join(
            connection.execute(
                text("SELECT params FROM k2_job WHERE state IN ('queued', 'running', 'paused')")
            ).scalars()
        )
    deleted = 0
    for file in (run.settings.home / "uploads").glob("*"):
        if file.stat().st_mtime * 1000 < before and file.name not in wanted:
            file.unlink(missing_ok=True)
            deleted += 1
    return StepResult(rows=deleted)


def _give_room_back(database: Database) -> StepResult:
    """Write the file anew where half of it is empty; PostgreSQL looks after itself."""
    if database.file is None:
        return StepResult(data={"bytes_freed": 0})
    size = database.file.stat().st_size
    with closing(sqlite3.connect(database.file, timeout=BUSY_SECONDS)) as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if free > pages * _MAX_FREE_SHARE:
            with database.named_errors():
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return StepResult(data={"bytes_freed": max(size - database.file.stat().st_size, 0)})


def _write(database: Database, work: "Callable[[Connection], Any]") -> Any:
    with database.writing() as connection:
        return work(connection)


CLEAN_REGISTRY = JobKind(
    "clean-registry",
    "Delete jobs, events and uploads that are older than K2_JOBS_KEPT_DAYS.",
    CleanRegistryParams,
    run_clean_registry,
    QueueName.CHECKS,
    kept_days=2.0,
)


def scheduled_cleaning() -> ScheduledJob:
    """Return the daily run, which may find nothing."""
    params = {"fail_on_nothing": False}
    return ScheduledJob(CLEAN_REGISTRY.name, params, timedelta(days=1), CLEAN_REGISTRY.name)

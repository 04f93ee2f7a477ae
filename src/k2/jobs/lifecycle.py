"""Record the beginning and the end of a job's run in the registry, and clean up after crashes."""

from typing import Any

from sqlalchemy import Connection, text

from k2.errors import FailedError
from k2.jobs import json_values
from k2.jobs.clock import now_ms
from k2.jobs.database import Database
from k2.jobs.fault_points import reach
from k2.jobs.job_rows import get_job
from k2.jobs.job_run import StandStill
from k2.jobs.model import JobState, Wish
from k2.jobs.outbox import add_event

MAX_IDLE_STARTS = 20  # starts in a row that finished no step: the job kills its process

_ENDED_IN_DBOS = {
    "SUCCESS": JobState.COMPLETED,
    "ERROR": JobState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}


def begin_run(database: Database, job_id: str, executor: str) -> tuple[Wish, int]:
    """Note that a job runs here, unless it is to stop; return that request, and the number of this start.

    Raises:
        StandStill: it has ended: the engine started it twice.
        FailedError: it has been started often without finishing a step.
    """
    reach("run-before-start")
    with database.writing() as connection:
        job = get_job(connection, job_id, lock=True)
        if job.wish is not Wish.RUN:
            return job.wish, job.starts
        if job.state.is_ended:
            raise StandStill(Wish.RUN)
        connection.execute(
            text(
                "INSERT INTO k2_run (job_id, executor, attempt, since_ms)"
                " VALUES (:id, :executor, :attempt, :now)"
                # Of an earlier start that the engine has fenced off, and that stops at its next look.
                " ON CONFLICT (job_id) DO UPDATE SET executor = :executor, attempt = :attempt,"
                " since_ms = :now"
            ),
            {"id": job_id, "executor": executor, "attempt": job.starts + 1, "now": now_ms()},
        )
        idle = connection.execute(
            text(
                "UPDATE k2_job SET state = 'running', starts = starts + 1,"
                " idle_starts = idle_starts + 1, active_ms = :now,"
                " started_ms = CASE started_ms WHEN 0 THEN :now ELSE started_ms END"
                " WHERE id = :id RETURNING idle_starts"
            ),
            {"id": job_id, "now": now_ms()},
        ).scalar_one()
        if job.starts == 0:
            add_event(connection, "started", job)
    reach("run-started")
    if idle > MAX_IDLE_STARTS:
        raise FailedError(
            f"Job {job_id} was started {idle} times without finishing a step: something in it ends"
            " the process. See the log of `k2 serve`; `k2 jobs retry` tries again."
        )
    return Wish.RUN, job.starts + 1


def stand_still(database: Database, job_id: str, attempt: int, wish: Wish) -> None:
    """Note that a job's work has stopped, and report it if a pause was requested."""
    with database.writing() as connection:
        job = get_job(connection, job_id, lock=True)
        if job.starts != attempt:
            return  # another process has taken the job over
        _remove_run(connection, job_id)
        if wish is Wish.PAUSE and job.wish is Wish.PAUSE:
            _set_state(connection, job_id, JobState.PAUSED)
            add_event(connection, "paused", job)
        elif job.state is JobState.RUNNING:
            _set_state(connection, job_id, JobState.QUEUED)


def keep_outcome(database: Database, job_id: str, outcome: Any) -> None:
    """Keep a job's result or error. The engine says right after that it has ended, and with that
    a trigger removes the note that it runs: until then nobody takes it for one that stands still.
    """
    reach("run-before-end")
    column = "error" if isinstance(outcome, BaseException) else "result"
    with database.writing() as connection:
        connection.execute(
            text(f"UPDATE k2_job SET {column} = :value, wish = 'run' WHERE id = :id"),  # noqa: S608
            {"id": job_id, "value": json_values.dumps(outcome)},
        )
    reach("run-ended")


def clear_runs(database: Database, executor: str) -> list[str]:
    """Remove the records that a killed process of this executor left; return the jobs that it ran."""
    with database.writing() as connection:
        found = connection.execute(
            text("DELETE FROM k2_run WHERE executor = :executor RETURNING job_id"),
            {"executor": executor},
        )
        jobs = [str(job_id) for job_id in found.scalars()]
        for job_id in jobs:
            job = get_job(connection, job_id, lock=True)
            if job.wish is Wish.PAUSE:
                _set_state(connection, job_id, JobState.PAUSED)
                add_event(connection, "paused", job)
            elif job.state is JobState.RUNNING:
                _set_state(connection, job_id, JobState.QUEUED)
    return jobs


def reconcile(database: Database) -> int:
    """Record the end of jobs that ended while the triggers were missing; return how many."""
    with database.writing() as connection:
        rows = connection.execute(
            text(
                "SELECT id, status FROM k2_job JOIN workflow_status ON workflow_uuid = id"
                " WHERE state IN ('queued', 'running', 'paused') AND status IN"
                " ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')"
            )
        ).all()
        for job_id, status in rows:
            state = _ENDED_IN_DBOS[status]
            _set_state(connection, job_id, state)
            connection.execute(
                text("UPDATE k2_job SET ended_ms = :now WHERE id = :id"),
                {"id": job_id, "now": now_ms()},
            )
            add_event(connection, str(state), get_job(connection, job_id))
    return len(rows)


def _remove_run(connection: Connection, job_id: str) -> None:
    connection.execute(text("DELETE FROM k2_run WHERE job_id = :id"), {"id": job_id})


def _set_state(connection: Connection, job_id: str, state: JobState) -> None:
    connection.execute(
        text("UPDATE k2_job SET state = :state, active_ms = :now WHERE id = :id"),
        {"id": job_id, "state": str(state), "now": now_ms()},
    )

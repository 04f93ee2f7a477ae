"""The registry of jobs: jobs are submitted, looked up and controlled here.

Nothing here runs a job. Whatever dbos must know too goes through ``queue``, which the engine implements.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, text

from k2.errors import ConfigError, InUseError, K2Error
from k2.jobs import json_values
from k2.jobs.clock import now_ms
from k2.jobs.job_lookup import JobLookup
from k2.jobs.job_rows import get_job
from k2.jobs.kinds.kind import JobKind
from k2.jobs.model import Job, JobState, StepStatus, Wish
from k2.jobs.outbox import add_event

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class NotPossibleError(InUseError):
    """The job is in a state in which what is asked cannot be done."""


class SameKeyError(InUseError):
    """The idempotency key is that of a job with other parameters."""


class Queue(Protocol):
    """What the registry needs from the engine that runs jobs."""

    def enqueue(self, connection: Connection, kind: str, job_id: str) -> None:
        """Enqueue within the caller's transaction."""

    def cancel(self, job_id: str) -> None:
        """End a job whose work stands still."""

    def resume(self, job_id: str) -> None:
        """Enqueue again a job that was paused, cancelled or lost; finished steps stay."""

    def rewind(self, job_id: str, first_step: int) -> None:
        """Enqueue again a job that failed, from a step on."""


@dataclass(frozen=True)
class Submitted:
    """A job that was asked for; ``is_new`` unless the same key had asked for it before."""

    job: Job
    is_new: bool


@dataclass(frozen=True)
class Registry(JobLookup):
    """The registry of one database; ``kinds`` are the jobs that can be asked for."""

    queue: Queue

    def submit(
        self,
        kind: str,
        params: Mapping[str, Any],
        *,
        key: str | None = None,
        request_id: str = "",
    ) -> Submitted:
        """Submit a job. The same ``key`` and parameters give the same job, whoever submits it.

        Raises:
            ConfigError: an unknown kind or parameter, or a value out of range.
            SameKeyError: the key is that of a job with other parameters.
            UnavailableError: the registry does not answer; nothing was asked for.
        """
        chosen = self.kinds.named(kind)
        stored = json_values.dumps(chosen.validated(params).model_dump(mode="json"))
        job_id = _new_id(chosen, key)
        with self.database.writing() as connection:
            taken = connection.execute(
                text(
                    "INSERT INTO k2_job (id, kind, params, state, wish, submitted_ms, active_ms,"
                    " request_id) VALUES (:id, :kind, :params, 'queued', 'run', :now, :now, :request)"
                    " ON CONFLICT (id) DO NOTHING"
                ),
                {
                    "id": job_id,
                    "kind": kind,
                    "params": stored,
                    "now": now_ms(),
                    "request": request_id,
                },
            )
            is_new = taken.rowcount > 0
            job = get_job(connection, job_id)
            if is_new:
                self.queue.enqueue(connection, kind, job_id)
                add_event(connection, "queued", job)
            elif job.params != json_values.loads(stored):
                raise SameKeyError(
                    f"The idempotency key {key!r} is that of job {job_id}, which has other"
                    " parameters. Use another key for another job."
                )
        return Submitted(job, is_new)

    def pause(self, job_id: str) -> Job:
        """Pause a job at its next step; :meth:`resume` continues it.

        Raises:
            NotPossibleError: it has ended, or is being cancelled.
        """
        with self.database.writing() as connection:
            job = get_job(connection, job_id, lock=True)
            if job.state is JobState.PAUSED or job.wish is Wish.PAUSE:
                return job
            if job.state.is_ended or job.wish is Wish.CANCEL:
                raise _refused(job, "paused")
            _set(connection, job_id, wish=Wish.PAUSE)
            if not _runs(connection, job_id):
                _set(connection, job_id, state=JobState.PAUSED)
                add_event(connection, "paused", job)
            return get_job(connection, job_id)

    def resume(self, job_id: str) -> Job:
        """Continue a paused job where it stopped.

        Raises:
            NotPossibleError: it is not paused.
        """
        with self.database.writing() as connection:
            job = get_job(connection, job_id, lock=True)
            if job.state is not JobState.PAUSED or job.wish is Wish.CANCEL:
                raise _refused(job, "resumed")
            _set(connection, job_id, wish=Wish.RUN, state=JobState.QUEUED)
            add_event(connection, "resumed", job)
        self.queue.resume(job_id)
        return self.job(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job at its next step.

        Raises:
            NotPossibleError: it has ended.
        """
        with self.database.writing() as connection:
            job = get_job(connection, job_id, lock=True)
            if job.state.is_ended:
                raise _refused(job, "cancelled")
            _set(connection, job_id, wish=Wish.CANCEL)
            stands_still = not _runs(connection, job_id)
        if stands_still:
            self.queue.cancel(job_id)
        return self.job(job_id)

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again from the step that did not end; same id.

        Raises:
            NotPossibleError: it has neither failed nor been cancelled.
        """
        steps = self.steps(job_id)
        with self.database.writing() as connection:
            job = get_job(connection, job_id, lock=True)
            if job.state not in (JobState.FAILED, JobState.CANCELLED) or _runs(connection, job_id):
                raise _refused(job, "retried")
            failed = [step.number for step in steps if step.status is StepStatus.FAILED]
            first = min(failed, default=max((step.number for step in steps), default=0) + 1)
            kept = [step for step in steps if step.number < first]
            connection.execute(
                text(
                    "UPDATE k2_job SET state = 'queued', wish = 'run', error = NULL, result = NULL,"
                    " ended_ms = 0, idle_starts = 0, active_ms = :now, steps_done = :steps,"
                    " rows_done = :rows WHERE id = :id"
                ),
                {
                    "id": job_id,
                    "now": now_ms(),
                    "steps": len(kept),
                    "rows": sum(step.rows for step in kept),
                },
            )
            add_event(connection, "queued", job)
        if job.state is JobState.CANCELLED:
            self.queue.resume(job_id)
        else:
            self.queue.rewind(job_id, first)
        return self.job(job_id)


def _new_id(kind: JobKind, key: str | None) -> str:
    if key is None:
        return f"{kind.name}-{now_ms():011x}{secrets.token_hex(4)}"
    if not _KEY.fullmatch(key):
        raise ConfigError(
            "An idempotency key has 1 to 200 printable ASCII characters without spaces."
        )
    return f"{kind.name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def _set(connection: Connection, job_id: str, **values: str) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in values)
    connection.execute(
        text(f"UPDATE k2_job SET {columns} WHERE id = :id"),  # noqa: S608
        {"id": job_id} | {name: str(value) for name, value in values.items()},
    )


def _runs(connection: Connection, job_id: str) -> bool:
    found = connection.execute(text("SELECT 1 FROM k2_run WHERE job_id = :id"), {"id": job_id})
    return found.first() is not None


_ONLY = {
    "paused": "a queued or running job can be paused",
    "resumed": "a paused job can be resumed",
    "cancelled": "a job that has not ended can be cancelled",
    "retried": "a failed or cancelled job can be retried",
}


def _refused(job: Job, what: str) -> K2Error:
    state = str(job.state)
    if job.wish is Wish.CANCEL and not job.state.is_ended:
        state = "being cancelled"
    elif job.wish is Wish.PAUSE and job.state is JobState.RUNNING:
        state = "still finishing the step before its pause"
    return NotPossibleError(f"Job {job.id} is {state} and cannot be {what}: only {_ONLY[what]}.")

"""Look up jobs, their steps, and their numbers in the registry."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from k2.jobs.clock import now_ms
from k2.jobs.database import Database
from k2.jobs.job_rows import COLUMNS, get_job, job_of, step_of
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.model import Job, JobState, Step

MAX_LISTED = 1_000
_LATE_MS = 60_000


@dataclass(frozen=True)
class JobLookup:
    """Reads one database; runs nothing and needs no engine."""

    database: Database
    kinds: JobKinds

    def job(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            UnknownJobError: there is none.
        """
        with self.database.reading() as connection:
            return get_job(connection, job_id)

    def jobs(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        since_ms: int = 0,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Job]:
        """Return jobs, newest first; ``before`` is the id of the last one of the page before."""
        where, values = ["submitted_ms >= :since"], {"since": since_ms, "limit": limit}
        chosen: dict[str, Any] = dict(values)
        if state is not None:
            where.append("state = :state")
            chosen["state"] = str(state)
        if kind is not None:
            where.append("kind = :kind")
            chosen["kind"] = self.kinds.named(kind).name
        with self.database.reading() as connection:
            if before is not None:
                get_job(connection, before)
                where.append("seq < (SELECT seq FROM k2_job WHERE id = :before)")
                chosen["before"] = before
            query = (
                f"SELECT {COLUMNS} FROM k2_job WHERE {' AND '.join(where)}"  # noqa: S608
                " ORDER BY seq DESC LIMIT :limit"
            )
            rows = connection.execute(text(query), chosen).mappings()
            return [job_of(dict(row)) for row in rows]

    def steps(self, job_id: str) -> list[Step]:
        """Return the steps that have ended, in order."""
        with self.database.reading() as connection:
            get_job(connection, job_id)
            rows = connection.execute(
                text(
                    "SELECT function_id, function_name, output, error, started_at_epoch_ms,"
                    " completed_at_epoch_ms FROM operation_outputs WHERE workflow_uuid = :id"
                    " AND function_name NOT LIKE 'DBOS.%' ORDER BY function_id"
                ),
                {"id": job_id},
            )
            return [step_of(*row) for row in rows]

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by kind and state."""
        with self.database.reading() as connection:
            rows = connection.execute(
                text("SELECT kind, state, count(*) FROM k2_job GROUP BY kind, state")
            )
            return {(kind, state): count for kind, state, count in rows}

    def idle_seconds(self) -> dict[str, float]:
        """Return by kind how long ago the running job that is quiet longest last did something."""
        with self.database.reading() as connection:
            rows = connection.execute(
                text(
                    "SELECT kind, min(active_ms) FROM k2_job WHERE state = 'running' GROUP BY kind"
                )
            )
            return {kind: max(now_ms() - oldest, 0) / 1000 for kind, oldest in rows}

    def undelivered(self) -> dict[str, int]:
        """Return by sink how many events wait for longer than a minute, or were given up."""
        with self.database.reading() as connection:
            rows = connection.execute(
                text(
                    "SELECT d.sink, sum(CASE WHEN d.given_up = 1 OR o.created_ms < :late"
                    " THEN 1 ELSE 0 END) FROM k2_delivery d JOIN k2_outbox o ON o.seq = d.seq"
                    " GROUP BY d.sink"
                ),
                {"late": now_ms() - _LATE_MS},
            )
            return {sink: int(count) for sink, count in rows}

    def kind_names(self) -> list[str]:
        """Return the kinds of jobs that there are."""
        return [kind.name for kind in self.kinds]

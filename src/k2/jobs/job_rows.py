"""Rows of the registry as jobs and steps."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, text

from k2.errors import ConfigError
from k2.jobs import json_values
from k2.jobs.model import Job, JobState, Step, StepStatus, Wish

COLUMNS = (
    "id, kind, state, wish, params, submitted_ms, started_ms, ended_ms, active_ms, starts,"
    " steps_done, rows_done, rows_total, step, request_id, error, result"
)


class UnknownJobError(ConfigError):
    """There is no job of that id."""


def get_job(connection: Connection, job_id: str, *, lock: bool = False) -> Job:
    """Return a job; ``lock`` keeps other writers of PostgreSQL off it until the transaction ends.

    Raises:
        UnknownJobError: there is none.
    """
    query = f"SELECT {COLUMNS} FROM k2_job WHERE id = :id"  # noqa: S608
    if lock and connection.dialect.name == "postgresql":
        query += " FOR UPDATE"
    row = connection.execute(text(query), {"id": job_id}).mappings().first()
    if row is None:
        raise UnknownJobError(
            f"There is no job {job_id[:100]!r}; `k2 jobs list` shows those there are."
        )
    return job_of(dict(row))


def job_of(row: Mapping[str, Any]) -> Job:
    """Return the job of a row of k2_job."""
    fields = dict(row)
    error = None if row["error"] is None else json_values.public_facts(orjson.loads(row["error"]))
    fields |= {
        "state": JobState(row["state"]),
        "wish": Wish(row["wish"]),
        "params": orjson.loads(row["params"]),
        "error": error,
        "result": json_values.loads(row["result"]),
    }
    return Job(**fields)


def step_of(
    number: int, name: str, output: str | None, error: str | None, started: int, ended: int
) -> Step:
    """Return the step of a row of operation_outputs."""
    if error is not None:
        facts = orjson.loads(error)
        return Step(
            *(number, name, StepStatus.FAILED, int(facts.get("attempts", 1)), started, ended),
            message=str(facts.get("message", "")),
            error_class=json_values.error_class(facts),
        )
    facts = orjson.loads(output or "{}") or {}
    return Step(
        *(number, name, StepStatus(facts.get("status", "ok")), int(facts.get("attempts", 1))),
        *(started, ended),
        rows=int(facts.get("rows", 0)),
        message=str(facts.get("message", "")),
        error_class=str(facts.get("error_class", "")),
    )

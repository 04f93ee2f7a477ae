"""The outbox: events are written in the transaction of the change that they report, and wait here for delivery."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from k2.jobs.clock import now_ms
from k2.jobs.model import Job

JOB_EVENTS = (
    *("queued", "started", "progress", "paused", "resumed"),
    *("completed", "failed", "cancelled"),
)
_INSERT = text(
    "INSERT INTO k2_outbox (source, type, subject, data, created_ms)"
    " VALUES (:source, :type, :subject, :data, :now)"
)


@dataclass(frozen=True)
class Event:
    """An event of the outbox; ``seq`` is its id, ``source`` and ``subject`` say what it tells of."""

    seq: int
    source: str
    type: str
    subject: str
    data: dict[str, Any]
    created_ms: int


def add_event(connection: Connection, event: str, job: Job, **data: object) -> None:
    """Write an event about a job in the transaction that changes it."""
    facts = {
        "kind": job.kind,
        "steps_done": job.steps_done,
        "rows_done": job.rows_done,
        "rows_total": job.rows_total,
        "request_id": job.request_id,
        **data,
    }
    add_fact(connection, f"jobs/{job.kind}", f"io.k2.job.{event}", job.id, facts)


def add_fact(
    connection: Connection, source: str, type_: str, subject: str, data: Mapping[str, Any]
) -> None:
    """Write an event about anything."""
    values = {
        "source": source,
        "type": type_,
        "subject": subject,
        "data": orjson.dumps(data, default=str).decode(),
        "now": now_ms(),
    }
    connection.execute(_INSERT, values)


def events_about(
    connection: Connection, subject: str, after: int = 0, limit: int = 500
) -> list[Event]:
    """Return the events about a job in order, those after ``after`` only."""
    rows = connection.execute(
        text(
            "SELECT seq, source, type, subject, data, created_ms FROM k2_outbox"
            " WHERE subject = :subject AND seq > :after ORDER BY seq LIMIT :limit"
        ),
        {"subject": subject, "after": after, "limit": limit},
    )
    return [event_of(row) for row in rows]


def event_of(row: Any) -> Event:
    """Return the event of a row of the outbox."""
    data = row[4] if isinstance(row[4], dict) else orjson.loads(row[4])
    return Event(row[0], row[1], row[2], row[3], data, row[5])

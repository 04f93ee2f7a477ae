"""The rows of ``k2_delivery``: events that a sink has not accepted yet. Accepted events are removed."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from k2.jobs.clock import now_ms
from k2.jobs.database import Database
from k2.jobs.outbox import Event, event_of

MAX_CLAIMED = 50
_CLAIM_MS = 60_000  # after which an event whose process died is another's to send
_COLUMNS = "seq, source, type, subject, data, created_ms"


@dataclass(frozen=True)
class Claimed:
    """An event to deliver, and how often that has been tried."""

    event: Event
    attempts: int


def dispatch(database: Database, sinks: list[str]) -> int:
    """Queue each new event for each sink; return how many there were."""
    with database.writing() as connection:
        skip = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
        found = connection.execute(
            text(
                f"SELECT seq FROM k2_outbox WHERE dispatched = 0 ORDER BY seq LIMIT 1000{skip}"  # noqa: S608
            )
        )
        new = [{"seq": seq} for seq in found.scalars()]
        if not new:
            return 0
        for sink in sinks:
            connection.execute(
                text(
                    "INSERT INTO k2_delivery (seq, sink) VALUES (:seq, :sink)"
                    " ON CONFLICT (sink, seq) DO NOTHING"
                ),
                [row | {"sink": sink} for row in new],
            )
        connection.execute(text("UPDATE k2_outbox SET dispatched = 1 WHERE seq = :seq"), new)
    return len(new)


def claim(database: Database, sink: str) -> list[Claimed]:
    """Take the next events of a sink, in order: none while the first of them has to wait."""
    with database.writing() as connection:
        lock = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
        rows = connection.execute(
            text(
                "SELECT seq, attempts, next_ms, claimed_until_ms FROM k2_delivery"  # noqa: S608
                f" WHERE sink = :sink AND given_up = 0 ORDER BY seq LIMIT :most{lock}"
            ),
            {"sink": sink, "most": MAX_CLAIMED},
        ).all()
        now = now_ms()
        if not rows or max(rows[0][2], rows[0][3]) > now:
            return []
        attempts = {row[0]: row[1] for row in rows}
        _update(connection, sink, list(attempts), claimed_until_ms=now + _CLAIM_MS)
        events = connection.execute(
            text(
                f"SELECT {_COLUMNS} FROM k2_outbox WHERE seq BETWEEN :first AND :last ORDER BY seq"  # noqa: S608
            ),
            {"first": min(attempts), "last": max(attempts)},
        )
        return [
            Claimed(event, attempts[event.seq])
            for event in map(event_of, events)
            if event.seq in attempts
        ]


def delete_delivered(database: Database, sink: str, seqs: list[int]) -> None:
    """Remove events that the sink has."""
    if seqs:
        with database.writing() as connection:
            connection.execute(
                text("DELETE FROM k2_delivery WHERE sink = :sink AND seq = :seq"),
                [{"sink": sink, "seq": seq} for seq in seqs],
            )


def put_back(database: Database, sink: str, seqs: list[int]) -> None:
    """Release claimed events that were not tried."""
    if seqs:
        with database.writing() as connection:
            _update(connection, sink, seqs, claimed_until_ms=0)


def failed(
    database: Database, claimed: Claimed, sink: str, error: str, wait_seconds: float | None
) -> None:
    """Note a failed attempt; without ``wait_seconds`` the event is given up, and kept."""
    with database.writing() as connection:
        connection.execute(
            text(
                "UPDATE k2_delivery SET attempts = :attempts, error = :error, next_ms = :next,"
                " claimed_until_ms = 0, given_up = :given_up WHERE sink = :sink AND seq = :seq"
            ),
            {
                **{"sink": sink, "seq": claimed.event.seq, "error": error[:500]},
                **{"attempts": claimed.attempts + 1, "given_up": int(wait_seconds is None)},
                "next": now_ms() + int((wait_seconds or 0) * 1000),
            },
        )


def release_claims(database: Database) -> None:
    """Release the events that a killed process had claimed; call it only where this process is the only one."""
    with database.writing() as connection:
        connection.execute(
            text("UPDATE k2_delivery SET claimed_until_ms = 0 WHERE claimed_until_ms > 0")
        )


def send_again(database: Database, sink: str | None = None) -> int:
    """Retry events that were given up, and waiting events at once; return how many events that concerns."""
    with database.writing() as connection:
        where = "(given_up = 1 OR attempts > 0)" + (" AND sink = :sink" if sink else "")
        found = connection.execute(
            text(
                "UPDATE k2_delivery SET given_up = 0, attempts = 0, next_ms = 0,"  # noqa: S608
                f" claimed_until_ms = 0 WHERE {where}"
            ),
            {"sink": sink} if sink else {},
        )
        return int(found.rowcount)


def _update(connection: Connection, sink: str, seqs: list[int], claimed_until_ms: int) -> None:
    connection.execute(
        text("UPDATE k2_delivery SET claimed_until_ms = :until WHERE sink = :sink AND seq = :seq"),
        [{"until": claimed_until_ms, "sink": sink, "seq": seq} for seq in seqs],
    )

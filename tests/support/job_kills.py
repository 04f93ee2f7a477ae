"""Kill a service at a named point, start it again, and hold what is left against what must be."""

import threading
from pathlib import Path

from k2.jobs.engine import open_registry, prepare
from k2.jobs.model import JobState
from k2.jobs.outbox import events_about
from k2.jobs.registry import Registry
from k2.settings import Settings
from tests.support.jobs import KINDS, noted, wait_for_state, wait_until_running, worker

STEPS, JOBS = 4, 3


def kill_and_check(home: Path, point: str, count: int) -> int:
    """Run jobs in a process that dies at the ``count``-th pass of a point, then in one that lives; return
    how the first one ended.
    """
    settings = Settings.load(home=home)
    ledger = home / "ledger"
    home.mkdir(parents=True)
    registry = open_registry(settings, KINDS)
    prepare(registry.database)
    params = {"steps": STEPS, "seconds": 0.02, "ledger": str(ledger)}
    ids = [registry.submit("count", params).job.id for _ in range(JOBS)]

    with worker(home, point, str(count)) as dying:
        code = dying.wait(60)
    with worker(home) as living:
        wait_until_running(living)
        for job_id in ids:
            wait_for_state(registry, job_id, JobState.COMPLETED)
        _wait_for_events(home, registry, ids)

    ran = noted(ledger)
    assert set(ran) == {f"{job_id} {step}" for job_id in ids for step in range(STEPS)}
    # The step in hand may have run again, and no other: a job has one at a time.
    assert sum(ran.values()) <= JOBS * STEPS + JOBS
    with registry.database.reading() as connection:
        for job_id in ids:
            types = [event.type[10:] for event in events_about(connection, job_id)]
            assert types[0] == "queued"
            assert types.count("started") == 1
            assert types.count("progress") == STEPS
            assert [t for t in types if t in ("completed", "failed", "cancelled")] == ["completed"]
            assert types[-1] == "completed"
    registry.database.close()
    return code


def _wait_for_events(home: Path, registry: Registry, ids: list[str]) -> None:
    """Every event of the registry reaches the sink, at least once."""
    with registry.database.reading() as connection:
        expected = {
            f"{event.seq} {event.type} {event.subject}"
            for job_id in ids
            for event in events_about(connection, job_id)
        }
    for _ in range(300):
        if expected <= set(noted(home / "events")):
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"lost events: {expected - set(noted(home / 'events'))}")

"""A copy of the registry that is taken while jobs run, and put back as the how-to says."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from k2.jobs.model import JobState
from k2.jobs.outbox import events_about
from k2.settings import Settings
from tests.support.jobs import engine_of, noted, wait_for, wait_for_state


def back_up(file: Path, to: Path) -> None:
    """Do what ``sqlite3 FILE ".backup TO"`` does."""
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


def vacuum_into(file: Path, to: Path) -> None:
    with closing(sqlite3.connect(file)) as source:
        source.execute("VACUUM INTO ?", [str(to)])


def put_back(copy: Path, file: Path) -> None:
    """Put the copy in the registry's place; its log is of what is no more."""
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    copy.replace(file)


@pytest.mark.parametrize("copy_it", [back_up, vacuum_into])
def test_jobs_of_a_copy_go_on_from_their_last_step_of_then(
    settings: Settings, tmp_path: Path, copy_it: object
) -> None:
    ledger, copy = tmp_path / "ledger", tmp_path / "copy.sqlite"
    file = settings.home / "jobs.sqlite"
    with engine_of(settings) as engine:
        done = engine.registry.submit("count", {"steps": 1}).job
        wait_for_state(engine.registry, done.id, JobState.COMPLETED)
        params = {"steps": 10, "seconds": 0.1, "ledger": str(ledger)}
        job = engine.registry.submit("count", params).job
        wait_for(engine.registry, job.id, lambda job: job.steps_done >= 3)
        copy_it(file, copy)  # type: ignore[operator]
        wait_for(engine.registry, job.id, lambda job: job.steps_done >= 6)
        lost = engine.registry.submit("count", {}).job

    put_back(copy, file)
    with engine_of(settings) as again:
        found = wait_for_state(again.registry, job.id, JobState.COMPLETED)
        ids = [one.id for one in again.registry.jobs()]
        with again.database.reading() as connection:
            events = [event.type[10:] for event in events_about(connection, job.id)]

    assert (found.steps_done, found.rows_done) == (10, 10)
    assert ids == [job.id, done.id]
    assert lost.id not in ids
    ran = noted(ledger)
    assert set(ran) == {f"{job.id} {number}" for number in range(10)}
    assert [ran[f"{job.id} {number}"] for number in range(2)] == [1, 1]  # ended before the copy
    assert events == ["queued", "started", *["progress"] * 10, "completed"]

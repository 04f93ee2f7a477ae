"""What a service finds when it starts: jobs that another left, and registries that it cannot use."""

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from k2.errors import ConfigError
from k2.jobs import fault_points
from k2.jobs.database import Database
from k2.jobs.engine import JobEngine
from k2.jobs.model import JobState
from k2.jobs.outbox import events_about
from k2.settings import Settings
from tests.support.jobs import KINDS, engine_of, noted, wait_for, wait_for_state


def test_what_a_stopped_service_left_goes_on_at_its_next_start(
    settings: Settings, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    with engine_of(settings) as first:
        params = {"steps": 8, "seconds": 0.1, "ledger": str(ledger)}
        job = first.registry.submit("count", params).job
        paused = first.registry.submit("count", {"ledger": str(tmp_path / "none")}).job
        first.registry.pause(paused.id)
        wait_for(first.registry, job.id, lambda job: job.steps_done >= 2)

    with engine_of(settings) as second:
        wait_for_state(second.registry, job.id, JobState.COMPLETED)
        still = second.registry.job(paused.id)

    assert set(noted(ledger).values()) == {1}
    assert still.state is JobState.PAUSED


def test_an_engine_that_was_never_started_ends_and_leaves_nothing(settings: Settings) -> None:
    engine = engine_of(settings)

    engine.stop()

    assert not (settings.home / "jobs.sqlite").exists()


def test_the_named_points_are_where_a_run_passes_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = list[str]()
    monkeypatch.setattr(fault_points, "on_reach", passed.append)
    with engine_of(settings) as engine:
        job = engine.registry.submit("count", {"steps": 1}).job
        wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert set(passed) <= set(fault_points.POINTS)
    assert [point for point in passed if not point.startswith("wish")] == [
        *("run-before-start", "run-started", "step-before-work", "step-after-work"),
        *("step-recorded", "run-before-end", "run-ended"),
    ]


def test_a_job_whose_thread_died_is_found_by_the_service_itself(settings: Settings) -> None:
    with engine_of(settings, watch_seconds=0.05, grace_seconds=0.0) as engine:
        job = engine.registry.submit("count", {"steps": 4, "seconds": 0.1}).job
        wait_for(engine.registry, job.id, lambda job: job.steps_done >= 1)
        engine.registry.pause(job.id)
        wait_for_state(engine.registry, job.id, JobState.PAUSED)
        with engine.database.writing() as connection:
            connection.execute(text("UPDATE k2_job SET wish = 'run', state = 'running'"))

        done = wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert done.steps_done == 4


def test_a_command_does_not_wait_for_an_engine_that_has_done_its_work(settings: Settings) -> None:
    waits = []
    for _ in range(3):
        engine = JobEngine(settings, KINDS)
        engine.start()
        job = engine.registry.submit("count", {"steps": 1}).job
        wait_for_state(engine.registry, job.id, JobState.COMPLETED)
        began = time.monotonic()
        engine.stop()
        waits.append(time.monotonic() - began)

    assert min(waits) < 0.9  # dbos alone takes a second or more


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_a_damaged_registry_is_named_and_left(settings: Settings, damage: str) -> None:
    with engine_of(settings) as engine:
        for _ in range(50):
            engine.registry.submit("count", {"steps": 0, "fail_on_nothing": False})
        file = engine.database.file
    assert file is not None
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"no database" * 999)
    before = file.read_bytes()

    with pytest.raises(ConfigError, match=r"jobs.sqlite is damaged .* Put back a copy"):
        engine_of(settings).start()

    assert file.read_bytes() == before


def test_a_registry_that_cannot_be_written_is_named(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "jobs.sqlite").mkdir()

    with pytest.raises(ConfigError, match=r"jobs.sqlite cannot be written"):
        engine_of(settings).start()


def test_a_registry_of_a_newer_K2_is_not_touched(settings: Settings, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE k2_schema SET version = 99"))

    with pytest.raises(ConfigError, match=r"made by a newer K2 \(schema 99"):
        engine_of(settings).start()


def test_an_end_that_no_trigger_told_of_is_said_at_the_next_start(settings: Settings) -> None:
    with engine_of(settings) as engine:
        job = engine.registry.submit("count", {}).job
        wait_for_state(engine.registry, job.id, JobState.COMPLETED)
        with engine.database.writing() as connection:
            connection.execute(text("UPDATE k2_job SET state = 'running'"))
            connection.execute(text("DELETE FROM k2_outbox WHERE type LIKE '%completed'"))

    with engine_of(settings) as again:
        found = again.registry.job(job.id)

        assert found.state is JobState.COMPLETED
        with again.database.reading() as connection:
            told = [event.type for event in events_about(connection, job.id)]
        assert told.count("io.k2.job.completed") == 1

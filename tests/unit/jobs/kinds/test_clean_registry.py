"""What is old goes from the registry, and nothing that somebody may still want."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from k2.jobs.database import Database
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.job_rows import UnknownJobError
from k2.jobs.kinds import KINDS as ALL_KINDS
from k2.jobs.kinds.clean_registry import CLEAN_REGISTRY, scheduled_cleaning
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.model import Job, JobState, Report
from k2.jobs.registry import Registry
from k2.settings import Settings
from tests.support.jobs import COUNT, QUICK, wait_for_state

DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def cleaning(database: Database, settings: Settings) -> Iterator[JobEngine]:
    """An engine over a registry that a test has filled with what is old."""
    kinds = JobKinds([CLEAN_REGISTRY, COUNT])
    options = EngineOptions(poll_seconds=0.02, policy=QUICK)
    with JobEngine(settings, kinds, options) as running:
        yield running


def age(database: Database, job_id: str, days: float, state: str = "", kind: str = "") -> None:
    """Let a job have ended so long ago, and its events have been written."""
    ended = NOW_MS - int(days * DAY_MS)
    with database.writing() as connection:
        for column, value in (("ended_ms", ended), ("state", state), ("kind", kind)):
            if value:
                connection.execute(
                    text(f"UPDATE k2_job SET {column} = :value WHERE id = :id"),  # noqa: S608
                    {"value": value, "id": job_id},
                )
        connection.execute(
            text("UPDATE k2_outbox SET created_ms = :ended WHERE subject = :id"),
            {"ended": ended, "id": job_id},
        )


def clean(registry: Registry) -> Job:
    job = registry.submit(CLEAN_REGISTRY.name, {"fail_on_nothing": False}).job
    return wait_for_state(registry, job.id, JobState.COMPLETED)


def exists(registry: Registry, job_id: str) -> bool:
    try:
        registry.job(job_id)
    except UnknownJobError:
        return False
    return True


def count(database: Database, table: str, where: str) -> int:
    query = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608
    with database.reading() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_old_jobs_go_with_steps_and_events_and_young_ones_stay(cleaning: JobEngine) -> None:
    registry, database = cleaning.registry, cleaning.database
    old, young = (registry.submit("count", {"steps": 2}).job.id for _ in range(2))
    for job_id in (old, young):
        wait_for_state(registry, job_id, JobState.COMPLETED)
    age(database, old, 31)
    age(database, young, 29)

    done = clean(registry)

    assert (exists(registry, old), exists(registry, young)) == (False, True)
    assert done.result is not None
    assert (done.result["jobs"], done.result["events"]) == (1, 5)
    for table, column in (
        *(("k2_outbox", "subject"), ("workflow_status", "workflow_uuid")),
        ("operation_outputs", "workflow_uuid"),
    ):
        assert count(database, table, f"{column} = '{old}'") == 0
        assert count(database, table, f"{column} = '{young}'") > 0


def test_a_check_that_went_well_goes_after_two_days_and_one_that_failed_stays(
    cleaning: JobEngine,
) -> None:
    registry, database = cleaning.registry, cleaning.database
    ids = [registry.submit("count", {}).job.id for _ in range(3)]
    for job_id in ids:
        wait_for_state(registry, job_id, JobState.COMPLETED)
    well, failed, other = ids
    age(database, well, 3, kind="quality-check")
    age(database, failed, 3, "failed", "quality-check")
    age(database, other, 3)

    clean(registry)

    assert [exists(registry, job_id) for job_id in ids] == [False, True, True]


@pytest.mark.parametrize("state", ["queued", "running", "paused"])
def test_a_job_that_has_not_ended_stays_however_old(
    database: Database, settings: Settings, state: str
) -> None:
    with database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO k2_job (id, kind, params, state, wish, submitted_ms)"
                " VALUES ('count-1', 'count', '{}', :state, 'pause', 1)"
            ),
            {"state": state},
        )

    with JobEngine(settings, JobKinds([CLEAN_REGISTRY, COUNT]), EngineOptions()) as engine:
        clean(engine.registry)

        assert exists(engine.registry, "count-1")


def test_what_no_sink_took_goes_too_and_is_said(cleaning: JobEngine) -> None:
    registry, database = cleaning.registry, cleaning.database
    job = registry.submit("count", {}).job
    wait_for_state(registry, job.id, JobState.COMPLETED)
    with database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO k2_delivery (seq, sink, given_up)"
                " SELECT seq, 'webhook', 1 FROM k2_outbox WHERE subject = :id"
            ),
            {"id": job.id},
        )
    age(database, job.id, 31)

    done = clean(registry)

    (warned,) = Report.of(registry.steps(done.id)).warned
    assert warned.message.endswith("were not delivered within 30 days")
    assert count(database, "k2_delivery", "1 = 1") == 0


def test_an_upload_goes_unless_a_job_still_reads_it(cleaning: JobEngine, tmp_path: Path) -> None:
    folder = cleaning.settings.home / "uploads"
    folder.mkdir()
    for name in ("old", "young", "wanted"):
        (folder / f"{name}.ndjson").write_text("{}")
        if name != "young":
            os.utime(folder / f"{name}.ndjson", (0, 0))
    job = cleaning.registry.submit("count", {"ledger": str(folder / "wanted.ndjson")}).job
    wait_for_state(cleaning.registry, job.id, JobState.COMPLETED)
    age(cleaning.database, job.id, 0, "paused")

    clean(cleaning.registry)

    assert {file.stem for file in folder.iterdir()} >= {"young", "wanted"}
    assert not (folder / "old.ndjson").exists()


def test_room_is_given_back_when_half_of_the_file_is_empty(cleaning: JobEngine) -> None:
    database = cleaning.database
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE large (x TEXT)"))
        connection.execute(text("INSERT INTO large VALUES (:x)"), {"x": "x" * 4_000_000})
    with database.writing() as connection:
        connection.execute(text("DROP TABLE large"))
    with database.reading() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    done = clean(cleaning.registry)

    assert done.result is not None
    assert done.result["bytes_freed"] > 2_000_000


def test_kinds_that_come_by_the_clock_are_not_kept_for_long() -> None:
    assert {kind.name for kind in ALL_KINDS if kind.kept_days} == {
        "quality-check",
        "clean-registry",
    }


def test_the_service_cleans_once_a_day_and_finds_nothing_old_on_most() -> None:
    job = scheduled_cleaning()

    assert (job.kind, job.every) == (CLEAN_REGISTRY.name, timedelta(days=1))
    assert not CLEAN_REGISTRY.validated(job.params).fail_on_nothing

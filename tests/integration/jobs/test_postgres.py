"""Several instances over one PostgreSQL: the same jobs, each run once, those of the dead too."""

import threading
from pathlib import Path

import pytest

from k2.errors import ConfigError, InUseError, UnavailableError
from k2.jobs.database import Database
from k2.jobs.engine import open_registry
from k2.jobs.engine.queue import prepare
from k2.jobs.model import JobState
from k2.jobs.outbox import events_about
from k2.settings import Settings
from tests.support.jobs import (
    KINDS,
    engine_of,
    noted,
    wait_for,
    wait_for_state,
    wait_until_running,
    worker,
)
from tests.support.postgres import Postgres

SECRET = "canary-of-the-test"  # noqa: S105


def environment_of(settings: Settings, executor: str) -> dict[str, str]:
    assert settings.ops_db is not None
    return {"K2_OPS_DB": settings.ops_db.get_secret_value(), "K2_JOBS_EXECUTOR": executor}


def test_a_job_runs_is_paused_resumed_and_cancelled_as_on_sqlite(
    shared: Settings, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    with engine_of(shared) as engine:
        jobs = engine.registry
        params = {"steps": 30, "seconds": 0.05, "ledger": str(ledger)}
        job = jobs.submit("count", params, key="one").job
        again = jobs.submit("count", params, key="one")
        wait_for(jobs, job.id, lambda job: job.steps_done >= 2)
        jobs.pause(job.id)
        wait_for_state(jobs, job.id, JobState.PAUSED)
        jobs.resume(job.id)
        wait_for(jobs, job.id, lambda job: job.steps_done >= 6)
        jobs.cancel(job.id)
        wait_for_state(jobs, job.id, JobState.CANCELLED)
        jobs.retry(job.id)
        wait_for_state(jobs, job.id, JobState.COMPLETED)
        with engine.database.reading() as connection:
            events = [event.type[10:] for event in events_about(connection, job.id)]

    assert not again.is_new
    assert set(noted(ledger).values()) == {1}
    assert [event for event in events if event != "progress"] == [
        *("queued", "started", "paused", "resumed", "cancelled", "queued", "completed")
    ]


def test_an_instance_starts_beside_one_in_the_middle_of_a_write(shared: Settings) -> None:
    with engine_of(shared) as first:
        job = first.registry.submit("count", {"steps": 1}).job
        wait_for_state(first.registry, job.id, JobState.COMPLETED)
        with first.database.writing() as connection:
            connection.exec_driver_sql("UPDATE dbos.workflow_status SET priority = priority")
            second = Database(shared)
            prepare(second)
            second.close()


def test_two_instances_share_the_jobs_and_run_each_once(shared: Settings, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with (
        engine_of(shared) as engine,
        worker(tmp_path / "other", **environment_of(shared, "second")) as other,
    ):
        wait_until_running(other)
        jobs = engine.registry
        params = {"steps": 4, "seconds": 0.05, "ledger": str(ledger)}
        ids = [jobs.submit("count", params).job.id for _ in range(20)]
        for job_id in ids:
            wait_for_state(jobs, job_id, JobState.COMPLETED)

    assert noted(ledger) == {f"{job_id} {step}": 1 for job_id in ids for step in range(4)}


def test_the_jobs_of_an_instance_that_was_killed_are_taken_over(
    shared: Settings, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    params = {"steps": 12, "seconds": 0.2, "ledger": str(ledger)}
    with worker(tmp_path / "other", **environment_of(shared, "second")) as other:
        wait_until_running(other)
        jobs = open_registry(shared, KINDS)
        ids = [jobs.submit("count", params).job.id for _ in range(2)]
        for job_id in ids:
            wait_for(jobs, job_id, lambda job: job.steps_done >= 2)
        jobs.database.close()
        with engine_of(shared, watch_seconds=0.3) as engine:
            threading.Event().wait(1.0)
            untouched = [engine.registry.job(job_id).starts for job_id in ids]
            other.kill()
            for job_id in ids:
                wait_for_state(engine.registry, job_id, JobState.COMPLETED)

    counts = noted(ledger)
    assert untouched == [1, 1]  # while it lived nobody took its jobs
    assert set(counts) == {f"{job_id} {step}" for job_id in ids for step in range(12)}
    # The step in hand ran again, and no other.
    assert all(sum(counts[f"{job_id} {step}"] - 1 for step in range(12)) <= 1 for job_id in ids)


def test_two_instances_of_one_name_are_refused(shared: Settings, tmp_path: Path) -> None:
    with worker(tmp_path / "other", **environment_of(shared, "first")) as other:
        wait_until_running(other)

        with pytest.raises(InUseError, match="Another process runs jobs as first"):
            engine_of(shared).start()


def test_a_job_waits_while_the_database_is_down_and_goes_on_after(
    shared: Settings, server: Postgres, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    with engine_of(shared, watch_seconds=0.3) as engine:
        params = {"steps": 10, "seconds": 0.3, "ledger": str(ledger)}
        job = engine.registry.submit("count", params).job
        wait_for(engine.registry, job.id, lambda job: job.steps_done >= 2)

        server.stop()
        try:
            with pytest.raises(UnavailableError, match="does not answer"):
                engine.registry.submit("count", {})
            threading.Event().wait(2.0)
        finally:
            server.start()
        done = wait_for_state(engine.registry, job.id, JobState.COMPLETED, 90)

    assert done.steps_done == 10
    assert set(noted(ledger)) == {f"{job.id} {step}" for step in range(10)}
    assert sum(noted(ledger).values()) <= 11


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (f"postgresql://postgres:{SECRET}@127.0.0.1:9/k2", UnavailableError),
        (f"mysql://root:{SECRET}@127.0.0.1/k2", ConfigError),
        (f"{SECRET}", ConfigError),
    ],
)
def test_an_address_that_does_not_work_is_said_without_its_password(
    tmp_path: Path, address: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        engine_of(Settings.load(home=tmp_path, ops_db=address)).start()

    assert SECRET not in str(caught.value)


def test_a_dump_that_is_put_back_has_every_job_and_they_go_on(
    shared: Settings, server: Postgres, tmp_path: Path
) -> None:
    ledger, dump = tmp_path / "ledger", server.folder / "dump"
    address = environment_of(shared, "first")["K2_OPS_DB"]
    with engine_of(shared) as engine:
        params = {"steps": 8, "seconds": 0.1, "ledger": str(ledger)}
        job = engine.registry.submit("count", params).job
        wait_for(engine.registry, job.id, lambda job: job.steps_done >= 3)
        server.run("pg_dump", "--format=custom", f"--file={dump}", address)

    elsewhere = server.new_database()
    server.run("pg_restore", f"--dbname={elsewhere}", str(dump))
    again = Settings.load(home=tmp_path / "home", ops_db=elsewhere, jobs_executor="first")
    with engine_of(again) as engine:
        found = wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert (found.steps_done, found.rows_done) == (8, 8)
    assert set(noted(ledger)) == {f"{job.id} {number}" for number in range(8)}

"""Jobs that run: once each, resumed where they stood, stopped at a step's end, and retried."""

import base64
import os
import pickle
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from k2.errors import InUseError
from k2.jobs.engine import JobEngine
from k2.jobs.engine.watchdog import Watchdog
from k2.jobs.model import JobState, Report
from k2.jobs.outbox import events_about
from tests.support.jobs import engine_of, noted, wait_for, wait_for_state


def event_names(engine: JobEngine, job_id: str) -> list[str]:
    with engine.database.reading() as connection:
        events = events_about(connection, job_id)
    return [event.type.removeprefix("io.k2.job.") for event in events]


def test_a_job_runs_each_step_once_and_tells_of_it(engine: JobEngine, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    job = engine.registry.submit("count", {"steps": 3, "ledger": str(ledger)}).job

    done = wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert noted(ledger) == {f"{job.id} {number}": 1 for number in range(3)}
    assert (done.steps_done, done.rows_done, done.rows_total) == (3, 3, 3)
    assert done.result == {"counted": 3}
    assert event_names(engine, job.id) == ["queued", "started", *["progress"] * 3, "completed"]


def test_a_paused_job_stands_still_and_goes_on_where_it_stood(
    engine: JobEngine, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    params = {"steps": 6, "seconds": 0.1, "ledger": str(ledger)}
    job = engine.registry.submit("count", params).job
    wait_for(engine.registry, job.id, lambda job: job.steps_done >= 2)

    engine.registry.pause(job.id)
    paused = wait_for_state(engine.registry, job.id, JobState.PAUSED)
    stood_at = noted(ledger)
    threading.Event().wait(0.3)
    stood_still = noted(ledger) == stood_at
    engine.registry.resume(job.id)
    wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert stood_still
    assert paused.steps_done < 6
    assert set(noted(ledger).values()) == {1}
    assert [name for name in event_names(engine, job.id) if name != "progress"] == [
        *("queued", "started", "paused", "resumed", "completed")
    ]


def test_a_cancelled_job_says_so_when_its_step_has_ended_and_can_be_retried(
    engine: JobEngine, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    job = engine.registry.submit("count", {"steps": 5, "seconds": 0.2, "ledger": str(ledger)}).job
    wait_for(engine.registry, job.id, lambda job: job.steps_done >= 1)

    asked = engine.registry.cancel(job.id)
    wait_for_state(engine.registry, job.id, JobState.CANCELLED)
    engine.registry.retry(job.id)
    wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert asked.state is JobState.RUNNING
    assert set(noted(ledger).values()) == {1}
    assert event_names(engine, job.id).count("cancelled") == 1


def test_a_failed_job_is_retried_from_the_step_that_failed(
    engine: JobEngine, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    params = {"steps": 4, "fails_at": 2, "failures": 1, "ledger": str(ledger)}
    job = engine.registry.submit("count", params).job

    failed = wait_for_state(engine.registry, job.id, JobState.FAILED)
    engine.registry.retry(job.id)
    done = wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert failed.error == {
        **{"class": "FailedError", "message": "step 2 cannot be done"},
        **{"exit_code": 1, "retryable": False, "attempts": 1},
    }
    assert (done.rows_done, done.steps_done, done.error) == (4, 4, None)
    assert noted(ledger)[f"{job.id} 0"] == 1
    assert noted(ledger)[f"{job.id} 2"] == 2


def test_what_may_work_later_is_tried_three_times(engine: JobEngine, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    params = {"steps": 2, "fails_at": 1, "failures": 2, "error": "UnavailableError"}
    job = engine.registry.submit("count", {**params, "ledger": str(ledger)}).job

    wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert [step.attempts for step in engine.registry.steps(job.id)] == [1, 3]


def test_an_error_that_is_not_K2s_fails_the_job_with_its_class_and_no_traceback(
    engine: JobEngine,
) -> None:
    job = engine.registry.submit("count", {"fails_at": 0, "error": "ValueError"}).job

    failed = wait_for_state(engine.registry, job.id, JobState.FAILED)

    assert failed.error is not None
    assert failed.error["class"] == "ValueError"
    assert failed.error["message"] == "ValueError: step 0 cannot be done"


def test_steps_that_go_on_leave_a_job_that_is_partly_done(engine: JobEngine) -> None:
    params = {"steps": 3, "fails_at": 1, "warns_at": 2, "may_fail": True}
    job = engine.registry.submit("count", params).job

    failed = wait_for_state(engine.registry, job.id, JobState.FAILED)
    report = Report.of(engine.registry.steps(job.id))

    assert failed.error is not None
    assert failed.error["exit_code"] == 4
    assert failed.error["message"] == "1 of 3 steps failed: count 1: step 1 cannot be done"
    assert report.totals == {"ok": 1, "warned": 1, "failed": 1}
    assert [step.name for step in report.failed] == ["count 1"]
    assert [step.message for step in report.warned] == ["odd"]
    assert len(report.slowest) == 3


@pytest.mark.parametrize(("fails", "state"), [(True, JobState.FAILED), (False, JobState.COMPLETED)])
def test_a_job_that_did_nothing_fails_unless_that_may_be(
    engine: JobEngine, fails: bool, state: JobState
) -> None:
    job = engine.registry.submit("count", {"steps": 0, "fail_on_nothing": fails}).job

    wait_for_state(engine.registry, job.id, state)


def test_a_second_service_on_one_home_is_refused(engine: JobEngine) -> None:
    with pytest.raises(InUseError, match="in use by the jobs' service"):
        engine_of(engine.settings).start()


def test_the_registry_is_its_owners_alone(engine: JobEngine) -> None:
    assert engine.database.file is not None
    assert stat.S_IMODE(engine.database.file.stat().st_mode) == 0o600


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (os.environ["K2_TEST_BOMB"],))


def test_nothing_of_the_registry_is_ever_unpickled(
    engine: JobEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbos import DBOS

    monkeypatch.setenv("K2_TEST_BOMB", str(tmp_path / "exploded"))
    job = engine.registry.submit("count", {}).job
    wait_for_state(engine.registry, job.id, JobState.COMPLETED)
    evil = base64.b64encode(pickle.dumps(Bomb())).decode()
    with engine.database.writing() as connection:
        connection.execute(
            text("UPDATE workflow_status SET serialization = 'py_pickle', inputs = :evil"),
            {"evil": evil},
        )
        connection.execute(text("UPDATE workflow_input SET inputs = :evil"), {"evil": evil})

    DBOS.list_workflows()

    assert not (tmp_path / "exploded").exists()


def test_a_job_that_nobody_runs_is_found_at_the_second_look_and_goes_on(
    engine: JobEngine,
) -> None:
    job = engine.registry.submit("count", {"steps": 4, "seconds": 0.2}).job
    wait_for(engine.registry, job.id, lambda job: job.steps_done >= 1)
    engine.registry.pause(job.id)
    wait_for_state(engine.registry, job.id, JobState.PAUSED)
    with engine.database.writing() as connection:  # as if its thread had died without a word
        connection.execute(
            text("UPDATE k2_job SET wish = 'run', state = 'running' WHERE id = :id"),
            {"id": job.id},
        )

    looks = [engine.watchdog.look_once(), engine.watchdog.look_once()]

    assert looks == [[], [job.id]]
    wait_for_state(engine.registry, job.id, JobState.COMPLETED)


def test_a_cancel_whose_asker_died_is_carried_out(engine: JobEngine) -> None:
    job = engine.registry.submit("count", {"steps": 4, "seconds": 0.1}).job
    engine.registry.pause(job.id)
    wait_for_state(engine.registry, job.id, JobState.PAUSED)
    with engine.database.writing() as connection:
        connection.execute(text("UPDATE k2_job SET wish = 'cancel' WHERE id = :id"), {"id": job.id})

    engine.watchdog.look_once()

    assert engine.registry.job(job.id).state is JobState.CANCELLED


def test_a_job_that_the_engine_starts_twice_runs_once(engine: JobEngine, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    params = {"steps": 6, "seconds": 0.2, "ledger": str(ledger)}
    job = engine.registry.submit("count", params).job
    wait_for(engine.registry, job.id, lambda job: job.steps_done >= 1)

    engine.registry.queue.resume(job.id)  # as a watchdog does that takes it for lost
    wait_for_state(engine.registry, job.id, JobState.COMPLETED)
    threading.Event().wait(0.5)

    assert engine.registry.job(job.id).state is JobState.COMPLETED
    # The step in hand is fenced off, and may run again; never beside itself.
    assert len(noted(ledger)) == 6
    assert sum(noted(ledger).values()) <= 7
    assert event_names(engine, job.id).count("completed") == 1
    with engine.database.reading() as connection:
        runs = connection.execute(text("SELECT 1 FROM k2_run WHERE job_id = :id"), {"id": job.id})
        assert runs.first() is None


def test_a_job_that_was_just_given_to_a_thread_is_not_taken_for_lost(engine: JobEngine) -> None:
    job = engine.registry.submit("count", {"steps": 2, "seconds": 1.0}).job
    wait_for_state(engine.registry, job.id, JobState.RUNNING)
    patient = Watchdog(engine.registry, engine.executor)
    with engine.database.writing() as connection:  # as if its thread had not come to that yet
        connection.execute(text("DELETE FROM k2_run WHERE job_id = :id"), {"id": job.id})

    looks = [patient.look_once(), patient.look_once()]

    assert looks == [[], []]

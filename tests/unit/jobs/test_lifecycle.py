"""The beginning and the end of a job's run: who runs it, what a killed process left, and what ends it for good."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from k2.errors import FailedError
from k2.jobs.database import Database
from k2.jobs.job_run import StandStill
from k2.jobs.lifecycle import MAX_IDLE_STARTS, begin_run, clear_runs, keep_outcome, stand_still
from k2.jobs.model import JobState, Wish
from k2.jobs.outbox import events_about
from k2.jobs.registry import Registry

OURS, OTHER = "local", "other"


@pytest.fixture
def job(registry: Registry) -> str:
    return registry.submit("count", {}).job.id


def put(database: Database, job_id: str, **columns: object) -> None:
    with database.writing() as connection:
        for name, value in columns.items():
            connection.execute(
                text(f"UPDATE k2_job SET {name} = :value WHERE id = :id"),  # noqa: S608
                {"value": str(value), "id": job_id},
            )


def events(database: Database, job_id: str) -> list[str]:
    with database.reading() as connection:
        return [event.type.rpartition(".")[2] for event in events_about(connection, job_id)]


def runner(database: Database, job_id: str) -> str | None:
    with database.reading() as connection:
        query = text("SELECT executor FROM k2_run WHERE job_id = :id")
        return connection.execute(query, {"id": job_id}).scalar()  # type: ignore[no-any-return]


def test_a_job_that_begins_runs_here_and_says_so_once(
    database: Database, registry: Registry, job: str
) -> None:
    first = begin_run(database, job, OURS)
    again = begin_run(database, job, OURS)

    found = registry.job(job)
    assert (first, again) == ((Wish.RUN, 1), (Wish.RUN, 2))
    assert (found.state, found.starts, runner(database, job)) == (JobState.RUNNING, 2, OURS)
    assert events(database, job) == ["queued", "started"]


@pytest.mark.parametrize("wish", [Wish.PAUSE, Wish.CANCEL])
def test_a_job_that_somebody_stopped_while_it_waited_does_not_begin(
    database: Database, job: str, wish: Wish
) -> None:
    put(database, job, wish=wish)

    assert begin_run(database, job, OURS) == (wish, 0)
    assert runner(database, job) is None


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_has_ended_is_not_begun_again_by_a_start_that_comes_late(
    database: Database, registry: Registry, job: str, state: JobState
) -> None:
    put(database, job, state=state)

    with pytest.raises(StandStill):
        begin_run(database, job, OURS)

    assert (registry.job(job).state, runner(database, job)) == (state, None)


def test_a_job_that_kills_its_process_again_and_again_fails_with_a_sentence(
    database: Database, job: str
) -> None:
    for _ in range(MAX_IDLE_STARTS):
        begin_run(database, job, OURS)

    with pytest.raises(FailedError, match=f"started {MAX_IDLE_STARTS + 1} times without finish"):
        begin_run(database, job, OURS)


def test_a_start_that_was_taken_over_leaves_the_job_to_who_runs_it(
    database: Database, registry: Registry, job: str
) -> None:
    _, ours = begin_run(database, job, OURS)
    begin_run(database, job, OTHER)

    stand_still(database, job, ours, Wish.PAUSE)

    assert (registry.job(job).state, runner(database, job)) == (JobState.RUNNING, OTHER)


def test_a_process_that_ends_leaves_its_job_to_the_next_one(
    database: Database, registry: Registry, job: str
) -> None:
    _, attempt = begin_run(database, job, OURS)

    stand_still(database, job, attempt, Wish.RUN)

    assert (registry.job(job).state, runner(database, job)) == (JobState.QUEUED, None)


def test_a_job_that_stands_still_after_it_has_ended_stays_ended(
    database: Database, registry: Registry, job: str
) -> None:
    _, attempt = begin_run(database, job, OURS)
    put(database, job, state=JobState.COMPLETED)

    stand_still(database, job, attempt, Wish.RUN)

    assert registry.job(job).state is JobState.COMPLETED


@pytest.mark.parametrize(
    ("columns", "state", "told"),
    [
        ({}, JobState.QUEUED, []),
        ({"wish": Wish.PAUSE}, JobState.PAUSED, ["paused"]),
        ({"wish": Wish.CANCEL}, JobState.QUEUED, []),
        ({"state": JobState.FAILED}, JobState.FAILED, []),
    ],
)
def test_what_a_killed_process_ran_waits_again_or_stands_as_somebody_wanted(
    database: Database,
    registry: Registry,
    job: str,
    columns: dict[str, object],
    state: JobState,
    told: list[str],
) -> None:
    begin_run(database, job, OURS)
    put(database, job, **columns)

    cleared = clear_runs(database, OURS)

    assert cleared == [job]
    assert (registry.job(job).state, runner(database, job)) == (state, None)
    assert events(database, job) == ["queued", "started", *told]


def test_the_runs_of_other_executors_are_left_alone(database: Database, job: str) -> None:
    begin_run(database, job, OTHER)

    assert clear_runs(database, OURS) == []
    assert runner(database, job) == OTHER


@pytest.mark.parametrize(
    ("outcome", "read"),
    [
        ({"rows": 3}, lambda job: job.result == {"rows": 3}),
        (FailedError("the disk is full"), lambda job: job.error["message"] == "the disk is full"),
    ],
)
def test_an_outcome_is_kept_and_a_wish_of_before_is_forgotten(
    database: Database,
    registry: Registry,
    job: str,
    outcome: object,
    read: Callable[[object], bool],
) -> None:
    begin_run(database, job, OURS)
    put(database, job, wish=Wish.PAUSE)

    keep_outcome(database, job, outcome)

    assert read(registry.job(job))
    assert registry.job(job).wish is Wish.RUN

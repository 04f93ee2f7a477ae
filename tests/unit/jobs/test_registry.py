"""What can be asked of the registry, in every state of a job."""

import os
import sqlite3
from contextlib import closing
from itertools import product

import pytest
from sqlalchemy import text

from k2.errors import ConfigError
from k2.jobs.database import Database
from k2.jobs.job_rows import UnknownJobError
from k2.jobs.model import JobState, Wish
from k2.jobs.outbox import events_about
from k2.jobs.registry import NotPossibleError, Registry, SameKeyError
from tests.support.read_only import make_read_only
from tests.unit.jobs.conftest import RecordingQueue

# What becomes of a job in a state when it is asked for, its work standing still; None is a refusal.
OUTCOMES = {
    ("pause", JobState.QUEUED): (JobState.PAUSED, Wish.PAUSE),
    ("pause", JobState.RUNNING): (JobState.RUNNING, Wish.PAUSE),
    ("pause", JobState.PAUSED): (JobState.PAUSED, Wish.RUN),
    ("resume", JobState.PAUSED): (JobState.QUEUED, Wish.RUN),
    ("cancel", JobState.QUEUED): (JobState.QUEUED, Wish.CANCEL),
    ("cancel", JobState.RUNNING): (JobState.RUNNING, Wish.CANCEL),
    ("cancel", JobState.PAUSED): (JobState.PAUSED, Wish.CANCEL),
    ("retry", JobState.FAILED): (JobState.QUEUED, Wish.RUN),
    ("retry", JobState.CANCELLED): (JobState.QUEUED, Wish.RUN),
}
REQUESTS = ("pause", "resume", "cancel", "retry")


def put_into(database: Database, job_id: str, state: JobState, wish: Wish = Wish.RUN) -> None:
    with database.writing() as connection:
        connection.execute(
            text("UPDATE k2_job SET state = :state, wish = :wish WHERE id = :id"),
            {"id": job_id, "state": str(state), "wish": str(wish)},
        )
        if state is JobState.RUNNING:
            connection.execute(
                text("INSERT INTO k2_run VALUES (:id, 'local', 1, 0)"), {"id": job_id}
            )


@pytest.mark.parametrize(("request_", "state"), list(product(REQUESTS, JobState)))
def test_every_request_in_every_state_is_done_or_refused_with_a_sentence(
    registry: Registry, database: Database, request_: str, state: JobState
) -> None:
    job = registry.submit("count", {}).job
    put_into(database, job.id, state)
    expected = OUTCOMES.get((request_, state))

    if expected is None:
        with pytest.raises(NotPossibleError, match=f"is {state} and cannot be"):
            getattr(registry, request_)(job.id)
        after = registry.job(job.id)
        expected = (state, Wish.RUN)
    else:
        after = getattr(registry, request_)(job.id)

    assert (after.state, after.wish) == expected


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_job_that_is_being_cancelled_is_asked_for_nothing_else(
    registry: Registry, database: Database, request_: str
) -> None:
    job = registry.submit("count", {}).job
    put_into(database, job.id, JobState.RUNNING, Wish.CANCEL)

    if request_ == "cancel":
        assert registry.cancel(job.id).wish is Wish.CANCEL
        return
    with pytest.raises(NotPossibleError, match="is being cancelled"):
        getattr(registry, request_)(job.id)


@pytest.mark.parametrize("request_", ["resume", "retry"])
def test_a_job_that_still_finishes_its_step_is_not_started_beside_itself(
    registry: Registry, database: Database, queue: RecordingQueue, request_: str
) -> None:
    job = registry.submit("count", {}).job
    put_into(database, job.id, JobState.RUNNING, Wish.PAUSE)

    with pytest.raises(NotPossibleError, match="still finishing the step"):
        getattr(registry, request_)(job.id)

    assert {asked[0] for asked in queue.asked} == {"enqueue"}


def test_a_running_job_is_cancelled_by_itself_and_one_that_stands_still_at_once(
    registry: Registry, database: Database, queue: RecordingQueue
) -> None:
    running, waiting = (registry.submit("count", {}).job.id for _ in range(2))
    put_into(database, running, JobState.RUNNING)

    registry.cancel(running)
    registry.cancel(waiting)

    assert [asked for asked in queue.asked if asked[0] == "cancel"] == [("cancel", waiting)]


def test_the_same_key_is_the_same_job(registry: Registry, queue: RecordingQueue) -> None:
    first = registry.submit("count", {"steps": 3}, key="nightly")

    second = registry.submit("count", {"steps": 3}, key="nightly")

    assert (first.is_new, second.is_new) == (True, False)
    assert first.job.id == second.job.id
    assert len(queue.asked) == 1


def test_the_same_key_with_other_parameters_is_refused(registry: Registry) -> None:
    registry.submit("count", {"steps": 3}, key="nightly")

    with pytest.raises(SameKeyError, match="'nightly' is that of job"):
        registry.submit("count", {"steps": 4}, key="nightly")


@pytest.mark.parametrize("key", ["", "with space", "ä", "x" * 201, "tab\t"])
def test_a_key_that_is_none_is_refused(registry: Registry, key: str) -> None:
    with pytest.raises(ConfigError, match="idempotency key"):
        registry.submit("count", {}, key=key)


@pytest.mark.parametrize(
    ("kind", "params", "sentence"),
    [
        ("cuont", {}, r"no kind of job 'cuont' \(did you mean count\?\)"),
        ("zzz", {}, r"no kind of job 'zzz'. There are count"),
        ("count", {"stesp": 1}, r"no parameter 'stesp' \(did you mean steps\?\)"),
        ("count", {"steps": -1}, "steps=-1: Input should be greater than or equal to 0"),
        ("count", {"steps": "many"}, "steps='many': Input should be a valid integer"),
        ("count", {"error": "x"}, "error='x': Input should be 'FailedError'"),
    ],
)
def test_what_cannot_be_run_is_not_taken(
    registry: Registry, kind: str, params: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        registry.submit(kind, params)

    assert registry.jobs() == []


@pytest.mark.parametrize("request_", ["job", "steps", *REQUESTS])
def test_a_job_that_does_not_exist_is_said(registry: Registry, request_: str) -> None:
    with pytest.raises(UnknownJobError, match="There is no job 'count-0'"):
        getattr(registry, request_)("count-0")


def test_jobs_are_listed_newest_first_by_state_kind_and_time(
    registry: Registry, database: Database
) -> None:
    ids = [registry.submit("count", {}).job.id for _ in range(5)]
    put_into(database, ids[1], JobState.FAILED)
    middle = registry.job(ids[2]).submitted_ms

    assert [job.id for job in registry.jobs()] == ids[::-1]
    assert [job.id for job in registry.jobs(limit=2, before=ids[3])] == [ids[2], ids[1]]
    assert [job.id for job in registry.jobs(state=JobState.FAILED)] == [ids[1]]
    assert ids[2] in [job.id for job in registry.jobs(since_ms=middle)]
    assert registry.jobs(since_ms=middle + 3_600_000) == []
    assert registry.counts() == {("count", "queued"): 4, ("count", "failed"): 1}


def test_a_change_of_state_and_its_event_are_one(registry: Registry, database: Database) -> None:
    job = registry.submit("count", {}, request_id="r-1").job
    registry.pause(job.id)
    registry.pause(job.id)
    registry.resume(job.id)

    with database.reading() as connection:
        events = events_about(connection, job.id)

    assert [event.type.rpartition(".")[2] for event in events] == ["queued", "paused", "resumed"]
    assert {event.data["request_id"] for event in events} == {"r-1"}


def test_a_registry_whose_file_can_only_be_read_is_named_and_keeps_what_it_has(
    database: Database, registry: Registry
) -> None:
    job = registry.submit("count", {}).job
    make_read_only(database)

    with pytest.raises(ConfigError, match=r"jobs\.sqlite cannot be written .* Give its owner"):
        registry.submit("count", {})

    assert [found.id for found in registry.jobs()] == [job.id]


def test_a_registry_that_is_cut_in_half_while_it_is_used_is_named(
    database: Database, registry: Registry
) -> None:
    for _ in range(50):
        registry.submit("count", {})
    database.close()
    assert database.file is not None
    with closing(sqlite3.connect(database.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(database.file, database.file.stat().st_size // 2)

    with pytest.raises(ConfigError, match=r"jobs\.sqlite is damaged .* Put back a copy"):
        registry.jobs(limit=1_000)

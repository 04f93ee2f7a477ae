"""Events about streams: a failure and its end are told once each, and commits once a minute."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from k2.errors import UnavailableError
from k2.home.atomic_files import replace_whole
from k2.jobs import database as database_module
from k2.jobs.database import Database
from k2.jobs.engine import prepare
from k2.jobs.outbox import Event, events_about
from k2.service import stream_events
from k2.service.stream_events import COMMIT_SECONDS, StreamEvents
from k2.settings import Settings
from tests.support.home import wait_until
from tests.support.read_only import make_read_only

pytestmark = pytest.mark.unit

FAILED, RECOVERED = "io.k2.stream.failed", "io.k2.stream.recovered"
COMMITTED = "io.k2.table.committed"


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    prepare(opened)
    yield opened
    opened.close()


@pytest.fixture
def events(settings: Settings, database: Database) -> StreamEvents:
    return StreamEvents(settings, database)


def stream(state: str, batch: int = -1, name: str = "gold", **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "batch_id": batch, "layer": "gold", **more}


def told(database: Database, name: str = "gold") -> list[Event]:
    with database.reading() as connection:
        return events_about(connection, name)


def types(database: Database, name: str = "gold") -> list[str]:
    return [event.type for event in told(database, name)]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["running", "retrying", "retrying", "failed"], [FAILED]),
        (["running", "failed", "running", "running"], [FAILED, RECOVERED]),
        (["failed", "starting", "running"], [FAILED]),
        (["failed"], [FAILED]),
        (["starting", "waiting", "running", "paused", "running", "stopped"], []),
        (["failed", "running", "retrying", "running"], [FAILED, RECOVERED, FAILED, RECOVERED]),
    ],
)
def test_a_failure_and_its_end_are_told_once_each(
    events: StreamEvents, database: Database, states: list[str], expected: list[str]
) -> None:
    for state in states:
        events.look_once([stream(state)], 0.0)

    assert types(database) == expected


def test_an_event_says_what_the_stream_said(events: StreamEvents, database: Database) -> None:
    events.look_once([stream("failed", error="the disk is full", restarts=2, rows=7)], 0.0)

    (event,) = told(database)
    assert event.source == "streams"
    assert event.data == {
        **{"state": "failed", "error": "the disk is full", "batch_id": -1},
        **{"rows": 7, "restarts": 2, "layer": "gold"},
    }


def test_streams_are_told_of_apart(events: StreamEvents, database: Database) -> None:
    count = events.look_once([stream("failed"), stream("running", name="ohlcv")], 0.0)

    assert (count, types(database), types(database, "ohlcv")) == (1, [FAILED], [])


def test_of_a_streams_commits_one_a_minute_is_told(
    events: StreamEvents, database: Database
) -> None:
    for second in range(int(2.5 * COMMIT_SECONDS)):
        events.look_once([stream("running", batch=second)], float(second))

    assert [event.data["batch_id"] for event in told(database)] == [0, 60, 120]


def test_a_stream_without_a_new_batch_has_committed_nothing(
    events: StreamEvents, database: Database
) -> None:
    for minute in range(3):
        events.look_once([stream("running", batch=4)], minute * COMMIT_SECONDS)

    assert types(database) == [COMMITTED]


def test_what_a_locked_registry_did_not_take_is_told_at_the_next_look(
    events: StreamEvents, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    database.close()  # it tells SQLite so when it connects
    assert database.file is not None
    with closing(sqlite3.connect(database.file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="is locked"):
            events.look_once([stream("failed", batch=3)], 0.0)

    events.look_once([stream("failed", batch=3)], 1.0)

    assert types(database) == [FAILED, COMMITTED]


def note(settings: Settings, state: str) -> None:
    """Write what the streams of a run write."""
    status = {"pid": os.getpid(), "written_at": time.time(), "streams": [stream(state)]}
    replace_whole(settings.run / "streams.json", orjson.dumps(status))


def test_while_the_service_runs_it_looks_at_the_streams_and_at_nothing_where_there_are_none(
    settings: Settings,
    events: StreamEvents,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_events, "_LOOK_SECONDS", 0.02)
    events = StreamEvents(settings, database)
    settings.run.mkdir(parents=True)
    events.start()
    try:
        note(settings, "failed")
        wait_until(lambda: types(database) == [FAILED], 30)
        note(settings, "running")
        wait_until(lambda: types(database) == [FAILED, RECOVERED], 30)
    finally:
        events.stop()


def test_a_registry_that_cannot_be_written_is_warned_of_once_and_looked_at_again(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_events, "_LOOK_SECONDS", 0.02)
    events = StreamEvents(settings, database)
    settings.run.mkdir(parents=True)
    note(settings, "failed")
    undo = make_read_only(database)
    with capture_logs() as logs:
        events.start()
        try:
            wait_until(lambda: logs, 30)
            time.sleep(0.2)
            undo()
            wait_until(lambda: types(database) == [FAILED], 30)
        finally:
            events.stop()

    assert [log["event"] for log in logs] == ["stream_events_wait"]
    assert "cannot be written" in logs[0]["reason"]


def test_an_end_before_the_start_is_no_failure(events: StreamEvents) -> None:
    events.stop()

    assert events._thread.is_stopping

"""Tables are looked after by whoever holds them, unasked; what fails hinders no stream."""

import os
import time
from pathlib import Path

import pytest

from k2.engine import request_server
from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.request_server import RequestServer
from k2.engine.table_requests import MAINTAIN, NoControl
from k2.errors import FailedError
from k2.home import log_files

pytestmark = pytest.mark.unit

STREAMS = ["bronze-kraken", "silver-kraken", "gold"]
NOTHING = {"files_deleted": 0, "partitions_compacted": 0}


@pytest.fixture
def schedule(settings):
    return MaintenanceSchedule(settings, {"gold_trades": [Path("/checkpoints/ohlcv/v1")]})


class TableOwner:
    """Carries out what is asked as the test says."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.asked = []

    def execute(self, request, _should_continue):
        self.asked.append(request)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def passes(schedule, seconds):
    """Date when upkeep began, and what it noted, so much earlier."""
    schedule._begun -= seconds
    for noted in (schedule.settings.run / "maintenance").glob("*"):
        earlier = noted.stat().st_mtime - seconds
        os.utime(noted, (earlier, earlier))


def due(schedule):
    found = []
    while (request := schedule.next_request(STREAMS)) is not None:
        found.append(request.stream)
    return found


def test_a_start_is_not_burdened_with_it(schedule):
    assert due(schedule) == []


def test_the_tables_of_each_stream_are_looked_after_in_turn(schedule):
    passes(schedule, 301)

    assert due(schedule) == STREAMS
    assert due(schedule) == []
    passes(schedule, 301)
    assert sorted(due(schedule)) == sorted(STREAMS)


def test_a_job_that_runs_for_a_moment_now_and_then_looks_after_its_tables_too(settings, schedule):
    passes(schedule, 301)
    due(schedule)
    passes(schedule, 301)

    assert sorted(due(MaintenanceSchedule(settings, {}))) == sorted(STREAMS)


def test_a_clock_that_was_set_back_does_not_end_it(settings, schedule):
    passes(schedule, 301)
    due(schedule)
    passes(schedule, -86_400)

    passes(schedule, 86_400 + 301)
    assert due(schedule)


def test_who_reads_a_table_is_said_and_large_logs_begin_again(schedule, monkeypatch):
    monkeypatch.setattr(log_files.limit_logs, "__defaults__", (10,))
    schedule.settings.logs.mkdir(parents=True)
    (schedule.settings.logs / "k2.log").write_text("x" * 11)
    passes(schedule, 301)

    request = schedule.next_request(STREAMS)

    assert request.kind == MAINTAIN
    assert request.options == {
        "readers": {"gold_trades": ["/checkpoints/ohlcv/v1"]},
        "dry_run": False,
    }
    assert (schedule.settings.logs / "k2.log").read_text() == ""


def test_what_was_done_is_said_and_told(settings, schedule):
    owners = {name: TableOwner({"table": NOTHING | {"files_deleted": 7}}) for name in STREAMS}
    told = []
    server = RequestServer(NoControl(), owners, lambda request, _: told.append(request.stream))
    passes(schedule, 301)

    for _ in range(5):
        server.look_after(schedule)

    assert told == STREAMS
    assert [len(holder.asked) for holder in owners.values()] == [1, 1, 1]


@pytest.mark.parametrize("error", [FailedError("No."), ValueError("No."), OSError(5, "No.")])
def test_maintenance_that_fails_is_said_and_the_streams_go_on(
    settings, schedule, monkeypatch, error
):
    said = []
    monkeypatch.setattr(
        request_server.log, "warning", lambda event, **facts: said.append((event, facts))
    )
    owners = {"gold": TableOwner(error)}
    server = RequestServer(NoControl(), owners, lambda *_: pytest.fail("nothing was done"))
    passes(schedule, 301)

    server.look_after(schedule)

    ((event, facts),) = said
    assert (event, facts["job_name"]) == ("maintenance_failed", "gold")
    assert "No." in facts["reason"]
    assert schedule.next_request(["gold"]) is None  # not again at once


def test_a_process_that_is_about_to_end_leaves_it(settings, schedule):
    holder = TableOwner({})
    server = RequestServer(NoControl(), {"gold": holder}, lambda *_: None)
    passes(schedule, time.time())
    server.stop()

    server.look_after(schedule)

    assert holder.asked == []

"""A stream stands still, goes on and begins anew as people want it."""

from types import SimpleNamespace
from typing import Any

import pytest

from k2.engine.steering import Steering
from k2.engine.stream_task import StreamTask
from k2.engine.table_requests import StreamWish
from k2.errors import FailedError, UnavailableError
from k2.exchanges.binance import BINANCE
from k2.observability.status import StreamStatus
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from tests.support.control import MemoryControl
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit

NAME = "silver-binance"
PAUSED, RUNNING = StreamWish(is_paused=True), StreamWish()


class Query:
    """Ends when it is told to, or not."""

    def __init__(self, ends: bool = True) -> None:
        self.isActive, self.ends = True, ends

    def stop(self) -> None:
        if not self.ends:
            raise TimeoutError("it did not end within 30 s")
        self.isActive = False


class Chained:
    """What a chained stream is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin_catch_up(self) -> None:
        self.told.append("nothing is passed")

    def finish_catch_up(self, is_behind: bool = False) -> None:
        self.told.append("behind" if is_behind else "not behind")


def task_of(query: Query | None = None, chained: Any = None) -> StreamTask:
    stream = idle_stream(Layer.SILVER, BINANCE, silver_trades(BINANCE), chained=chained)
    task = StreamTask(stream, StreamStatus(NAME, str(stream.layer), BINANCE.name, "running"))
    if query is not None:
        task.running = SimpleNamespace(query=query)  # type: ignore[assignment]
    return task


class Steered:
    """Steering of one stream, whose wishes are read when the test says so."""

    def __init__(self, task: StreamTask) -> None:
        self.task, self.control = task, MemoryControl()
        self.flushed: list[StreamTask] = []
        self.steering = Steering([task], self.control, self.flushed.append)

    def want(self, wish: StreamWish) -> bool:
        self.control.wanted[NAME] = wish
        self.steering._look()
        return self.steering.holds(self.task)


def test_a_paused_stream_has_ended_its_query_and_written_what_it_had() -> None:
    query = Query()
    steered = Steered(task_of(query))

    stands_still = steered.want(PAUSED)

    assert stands_still
    assert (query.isActive, steered.task.status.state) == (False, "paused")
    assert steered.flushed == [steered.task]
    assert steered.task.stream.processor.closed == 1  # type: ignore[attr-defined]


def test_paused_is_said_only_when_the_query_has_ended() -> None:
    query = Query(ends=False)
    steered = Steered(task_of(query))

    before = steered.want(PAUSED)
    query.ends = True
    after = steered.steering.holds(steered.task)

    assert (before, after) == (False, True)


def test_a_stream_that_is_starting_is_paused_once_it_has_started() -> None:
    task = task_of()
    steered = Steered(task)
    task.starting = SimpleNamespace()  # type: ignore[assignment]

    while_starting = steered.want(PAUSED)
    task.starting = None

    assert not while_starting
    assert steered.steering.holds(task)


def test_a_chained_stream_is_passed_nothing_and_catches_up_by_its_own_query() -> None:
    chained = Chained()
    steered = Steered(task_of(chained=chained))

    steered.want(PAUSED)
    while_paused = list(chained.told)
    steered.want(RUNNING)

    assert while_paused == ["nothing is passed"]
    assert chained.told == ["nothing is passed", "behind"]
    assert steered.task.status.state == "waiting"


def test_a_pause_holds_over_a_restart_of_the_process() -> None:
    steered = Steered(task_of())
    steered.control.wanted[NAME] = PAUSED

    steered.steering.start()
    steered.steering.stop()

    assert steered.task.is_paused


def test_restarts_of_an_earlier_run_are_none_of_this_one() -> None:
    query = Query()
    steered = Steered(task_of(query))
    steered.control.wanted[NAME] = StreamWish(restarts=3)

    steered.steering.start()
    steered.steering.stop()
    untouched = query.isActive
    steered.want(StreamWish(restarts=4))

    assert untouched
    assert (query.isActive, steered.task.status.state) == (False, "waiting")


def test_a_restart_is_done_once() -> None:
    steered = Steered(task_of(Query()))
    steered.want(StreamWish(restarts=1))
    again = Query()
    steered.task.running = SimpleNamespace(query=again)  # type: ignore[assignment]

    steered.steering.holds(steered.task)

    assert again.isActive


def test_a_stream_that_failed_for_good_begins_anew_when_it_is_restarted() -> None:
    task = task_of()
    task.done, task.failure = True, FailedError("the disk was full")
    task.status.state, task.status.error = "failed", "the disk was full"
    steered = Steered(task)

    by_pause = steered.want(PAUSED)
    steered.want(StreamWish(restarts=1))

    assert not by_pause  # it has failed, and says so
    assert (task.done, task.failure, task.status.state) == (False, None, "waiting")
    assert task.status.error is None


def test_a_registry_that_is_down_changes_nothing() -> None:
    steered = Steered(task_of(Query()))
    steered.want(PAUSED)
    steered.control.down = UnavailableError("The registry is locked.")

    steered.steering._look()

    assert steered.steering.holds(steered.task)

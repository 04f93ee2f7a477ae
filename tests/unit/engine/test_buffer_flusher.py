"""What is collected is written when it is due, and in the end."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from k2.engine.buffer_flusher import BufferFlusher
from k2.engine.processor import BatchResult

pytestmark = pytest.mark.unit


@dataclass
class Buffer:
    """Holds whatever a test puts into it."""

    waiting: int = 0
    is_due: bool = False
    fails: Exception | None = None
    written: threading.Event = field(default_factory=threading.Event)

    def flush(self):
        if self.fails is not None:
            raise self.fails
        if not self.waiting:
            return None
        self.waiting, batch = 0, self.waiting
        self.written.set()
        return BatchResult("ohlcv/v1", batch)


def task(buffer):
    return SimpleNamespace(stream=SimpleNamespace(name="ohlcv", buffer=buffer))


@pytest.fixture
def told():
    return []


def flushing(buffer, told):
    return BufferFlusher([task(None), task(buffer)], lambda _, report: told.append(report.batch_id))


def test_what_is_due_is_written_without_being_asked(told):
    buffer = Buffer(7, is_due=True)
    running = flushing(buffer, told)

    running.start()

    assert buffer.written.wait(30)
    running.stop()
    assert told == [7]


def test_where_no_more_comes_nothing_waits_until_it_is_due(told):
    running = flushing(Buffer(5), told)

    running.flush_all()

    assert told == [5]


def test_the_end_writes_what_is_not_due(told):
    running = flushing(Buffer(3), told)
    running.start()

    running.stop()

    assert told == [3]


def test_one_that_was_never_started_ends_too(told):
    flushing(Buffer(3), told).stop()

    assert told == [3]


def test_what_cannot_be_written_is_said_and_ends_nothing(told):
    running = flushing(Buffer(1, fails=OSError("no room")), told)

    with capture_logs() as logs:
        running.stop()

    assert told == []
    assert [(log["event"], log["reason"]) for log in logs] == [("not_written", "no room")]

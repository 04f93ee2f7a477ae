"""Work that a thread repeats ends when it is told to, and not in the middle."""

import threading

import pytest

from k2.periodic import PeriodicTask

pytestmark = pytest.mark.unit

SOON = 30.0


def test_work_is_done_again_and_again() -> None:
    third, calls = threading.Event(), []

    def work() -> None:
        calls.append(None)
        if len(calls) == 3:
            third.set()

    task = PeriodicTask("test", 0.01, work)
    task.start()

    assert third.wait(SOON)
    task.stop()


def test_nothing_is_done_before_the_first_pause() -> None:
    calls: list[None] = []
    task = PeriodicTask("test", 3600, lambda: calls.append(None))
    task.start()

    task.stop()

    assert calls == []


def test_work_that_starts_at_once_does_not_wait() -> None:
    called = threading.Event()
    task = PeriodicTask("test", 3600, called.set, starts_at_once=True)
    task.start()

    assert called.wait(SOON)
    task.stop()


def test_a_stop_waits_for_the_work_in_hand_and_lets_it_know() -> None:
    begun, ended = threading.Event(), []

    def work() -> None:
        begun.set()
        while not task.is_stopping:
            pass
        ended.append(None)

    task = PeriodicTask("test", 0.01, work)
    task.start()
    assert begun.wait(SOON)

    task.stop()

    assert ended == [None]


def test_one_that_never_started_stops_too() -> None:
    task = PeriodicTask("test", 1, lambda: None)

    task.stop()

    assert task.is_stopping

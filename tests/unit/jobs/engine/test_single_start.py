"""Of two starts of one job the second waits for the first, or for the end of the process."""

import threading

import pytest

from k2.jobs.engine.single_start import SingleStart
from k2.jobs.job_run import StandStill


def test_the_second_start_works_when_the_first_has_left() -> None:
    starts, order = SingleStart(threading.Event()), list[str]()
    is_in, may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with starts.of("job-1"):
            is_in.set()
            may_leave.wait(30)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    is_in.wait(30)
    threading.Timer(0.1, may_leave.set).start()
    with starts.of("job-1"):
        order.append("second")
    thread.join()

    assert order == ["first", "second"]


def test_other_jobs_do_not_wait() -> None:
    starts, at_work = SingleStart(threading.Event()), []

    with starts.of("job-1"), starts.of("job-2"):
        at_work.append("both")

    assert at_work == ["both"]


def test_a_start_that_waits_stands_still_when_the_process_ends() -> None:
    stopping = threading.Event()
    starts = SingleStart(stopping)
    stopping.set()

    with starts.of("job-1"), pytest.raises(StandStill), starts.of("job-1"):
        pass


def test_a_job_that_failed_can_be_started_again() -> None:
    starts = SingleStart(threading.Event())

    with pytest.raises(ValueError, match="broken"), starts.of("job-1"):
        raise ValueError("broken")

    with starts.of("job-1"):
        pass

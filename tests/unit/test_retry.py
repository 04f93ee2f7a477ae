"""The project's one retry policy."""

import pytest

from k2.errors import FailedError, UnavailableError
from k2.retry import POLICY, RetryPolicy, call_with_retry


class Busy(UnavailableError):
    retry_after_seconds = 7.0


def failing(*errors: Exception):  # type: ignore[no-untyped-def]
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_what_may_work_later_is_tried_three_times_with_growing_waits() -> None:
    waits: list[float] = []

    done = call_with_retry(failing(*[UnavailableError("no")] * 2), sleep=waits.append)

    assert done == "done"
    assert 1 <= waits[0] <= 2 <= waits[1] <= 3


def test_the_last_error_is_raised_as_it_is() -> None:
    failures: list[int] = []

    with pytest.raises(UnavailableError, match="still no"):
        call_with_retry(
            failing(*[UnavailableError("still no")] * 9),
            sleep=lambda _seconds: None,
            on_failure=lambda attempt, _error: failures.append(attempt),
        )

    assert failures == [1, 2, 3]


def test_what_cannot_work_is_tried_once() -> None:
    with pytest.raises(FailedError):
        call_with_retry(failing(FailedError("broken")), sleep=pytest.fail)


def test_a_server_that_says_how_long_is_believed_up_to_the_limit() -> None:
    waits: list[float] = []

    call_with_retry(failing(Busy("busy")), sleep=waits.append)

    assert waits == [7.0]
    Busy.retry_after_seconds = 3_600.0
    assert POLICY.delay_seconds(1, Busy("busy")) == 60.0


def test_no_wait_is_longer_than_the_limit() -> None:
    assert RetryPolicy().delay_seconds(30) == 60.0

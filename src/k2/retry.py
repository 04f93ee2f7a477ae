"""The one retry policy for calls to other services: a registry, a repository, an exchange, a webhook.

Three attempts; between them 1 s, doubled each time up to 60 s, with jitter. A server that says how
long to wait (``Retry-After``) is believed, up to the same 60 s.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)
from tenacity.nap import sleep as sleep_blocking
from tenacity.wait import wait_base

from k2.errors import K2Error

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and how long between attempts (seconds)."""

    attempts: int = 3
    first_seconds: float = 1.0
    max_seconds: float = 60.0

    def delay_seconds(self, attempt: int, error: BaseException | None = None) -> float:
        """Return the wait after an attempt, the first being 1; ``Retry-After`` of the error wins."""
        asked = getattr(error, "retry_after_seconds", None)
        if asked is not None:
            return min(float(asked), self.max_seconds)
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempt
        return float(self._backoff(state))

    @property
    def _backoff(self) -> wait_base:
        first = self.first_seconds
        return wait_exponential_jitter(multiplier=first, max=self.max_seconds, jitter=first)


POLICY = RetryPolicy()


def is_retryable(error: BaseException) -> bool:
    """Tell whether trying again can help: K2's own errors know."""
    return isinstance(error, K2Error) and error.retryable


def call_with_retry(
    work: Callable[[], T],
    *,
    policy: RetryPolicy = POLICY,
    is_retryable: Callable[[BaseException], bool] = is_retryable,
    sleep: Callable[[float], None] = sleep_blocking,
    on_failure: Callable[[int, BaseException], None] = lambda _attempt, _error: None,
) -> T:
    """Return what ``work`` returns, after as many attempts as the policy allows.

    ``on_failure`` is called with the number of each failed attempt and its error. ``sleep`` may
    raise to give up early. The last error is raised unchanged.
    """

    attempts = count(1)

    def attempt() -> T:
        number = next(attempts)
        try:
            return work()
        except Exception as error:
            on_failure(number, error)
            raise

    return Retrying(sleep=sleep, **_options(policy, is_retryable))(attempt)


async def call_with_retry_async(
    work: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy = POLICY,
    is_retryable: Callable[[BaseException], bool] = is_retryable,
    on_failure: Callable[[int, BaseException], None] = lambda _attempt, _error: None,
) -> T:
    """Return what ``work`` returns, as :func:`call_with_retry` does, without blocking the event loop."""
    attempts = count(1)

    async def attempt() -> T:
        number = next(attempts)
        try:
            return await work()
        except Exception as error:
            on_failure(number, error)
            raise

    return await AsyncRetrying(**_options(policy, is_retryable))(attempt)


def _options(policy: RetryPolicy, is_retryable: Callable[[BaseException], bool]) -> dict[str, Any]:
    def wait(state: RetryCallState) -> float:
        return policy.delay_seconds(state.attempt_number, _error_of(state))

    return {
        "retry": retry_if_exception(is_retryable),
        "stop": stop_after_attempt(policy.attempts),
        "wait": wait,
        "reraise": True,
    }


def retry_after(text: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which may be a date; None where it is none."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None

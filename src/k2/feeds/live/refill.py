"""Missing trades asked for from an exchange's REST history, within its limits."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from k2.errors import FailedError, K2Error, UnavailableError
from k2.exchanges.live import Answer, History, Missing
from k2.exchanges.rest import LimitedError, require_ok

log = structlog.get_logger("k2.feeds")

_ANSWER_SECONDS = 15.0
_ATTEMPTS = 5
_MAX_WAIT_SECONDS = 60.0

# Takes a message of the history as one of the websocket's; µs since 1970 of its arrival.
TakeMessage = Callable[[bytes, int], None]


@dataclass
class Refill:
    """Asks for missing trades of one service. Requests follow each other ``history.seconds`` apart."""

    history: History
    url: str
    take: TakeMessage
    client: httpx.AsyncClient
    requests: int = 0
    _next: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fetch(self, missing: Missing) -> None:
        """Ask for the trades and take them.

        Raises:
            FailedError: the exchange does not have them, or not any more.
            UnavailableError: it does not answer, or limits us, after several attempts.
        """
        async for message in self.history.fetch(self._get, missing):
            self.take(message, time.time_ns() // 1000)
            await asyncio.sleep(0)

    async def _get(self, path: str, parameters: dict[str, str]) -> Answer:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_help),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=_wait_as_asked,
            before_sleep=_tell,
            reraise=True,
        )
        answer: Answer = await retrying(self._once, path, parameters)
        return answer

    async def _once(self, path: str, parameters: dict[str, str]) -> Answer:
        async with self._lock:
            pause = self._next - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            self._next = time.monotonic() + self.history.seconds
            self.requests += 1
            try:
                response = await self.client.get(
                    f"{self.url}{path}",
                    params=parameters,
                    headers=self.history.headers,
                    timeout=_ANSWER_SECONDS,
                )
            except httpx.HTTPError as error:
                raise UnavailableError(f"{path} does not answer: {error!r}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, response.content)
        if answer.status in (418, 429) or answer.status >= 500:
            require_ok(answer, path)
        return answer


def _may_help(error: BaseException) -> bool:
    return isinstance(error, K2Error) and error.retryable and not isinstance(error, FailedError)


def _wait_as_asked(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, LimitedError) and error.seconds is not None:
        return min(error.seconds, _MAX_WAIT_SECONDS)
    return float(wait_random_exponential(multiplier=1.0, max=_MAX_WAIT_SECONDS)(state))


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.warning("history_retries", attempt=state.attempt_number, reason=str(error)[:200])

"""Missing trades asked for from an exchange's REST history, within its limits."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import structlog

from k2.errors import UnavailableError
from k2.exchanges.live import Answer, History, Missing
from k2.exchanges.rest import LimitedError, require_ok
from k2.retry import RetryPolicy, call_with_retry_async, is_retryable

log = structlog.get_logger("k2.feeds")

_ANSWER_SECONDS = 15.0
REQUESTS = RetryPolicy(attempts=5)

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
            UnavailableError: it does not answer, or limits us, after several attempts; or its answer
                cannot be read.
        """
        with _reading():
            async for message in self.history.fetch(self._get, missing):
                self.take(message, time.time_ns() // 1000)
                await asyncio.sleep(0)

    async def newest(self, market: str) -> bytes | None:
        """Return the newest trade that the exchange has of a market, None where it has none.

        Raises:
            FailedError, UnavailableError: as :meth:`fetch`.
        """
        with _reading():
            return await self.history.newest(self._get, market)

    async def _get(self, path: str, parameters: dict[str, str]) -> Answer:
        return await call_with_retry_async(
            partial(self._once, path, parameters),
            policy=REQUESTS,
            is_retryable=self._may_help,
            on_failure=_log_failure,
        )

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
            self._require_ok(answer, path)
        return answer

    def _require_ok(self, answer: Answer, path: str) -> None:
        try:
            require_ok(answer, path)
        except LimitedError as error:  # holds for every request: asking on earns a longer ban
            self._next = max(self._next, time.monotonic() + (error.retry_after_seconds or 0.0))
            raise

    def _may_help(self, error: BaseException) -> bool:
        """Whether another attempt may follow at once; of a long ban the caller must know."""
        is_long = self._next - time.monotonic() > REQUESTS.max_seconds
        return is_retryable(error) and not is_long


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UnavailableError(
            f"The history's answer cannot be read: {type(error).__name__}: {error}"
        ) from error


def _log_failure(attempt: int, error: BaseException) -> None:
    log.warning("history_retries", attempt=attempt, reason=str(error)[:200])

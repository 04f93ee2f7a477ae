"""Classify what ended a connection or a request: whether a retry can help, and how long to wait."""

import ssl
from dataclasses import dataclass

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from k2.retry import RetryPolicy, retry_after

_PERMANENT_STATUS = {401: "unauthorised", 403: "forbidden", 451: "not offered in this region"}
PAUSES = RetryPolicy()
_BREAKS_AFTER = 5  # failures in a row
_LONGEST = 32  # an attempt after which the pause is the policy's longest


@dataclass(frozen=True)
class FeedFailure:
    """Why a connection is gone: a word for metrics, a sentence for people.

    ``permanent`` says that a next attempt would fail the same way. ``wait_seconds`` is what the
    exchange asked for.
    """

    kind: str
    text: str
    permanent: bool = False
    wait_seconds: float | None = None


def failure_of(error: BaseException) -> FeedFailure:
    """Classify an error by its type."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status in _PERMANENT_STATUS:
            return FeedFailure("refused", f"HTTP {status}, {_PERMANENT_STATUS[status]}", True)
        wait = retry_after(error.response.headers.get("Retry-After"))
        if status in (418, 429):
            return FeedFailure("limited", f"HTTP {status}, too many requests", wait_seconds=wait)
        return FeedFailure("server_error", f"HTTP {status}", wait_seconds=wait)
    if isinstance(error, ConnectionClosed):
        return _closed(error)
    if isinstance(error, InvalidURI):
        return FeedFailure("refused", str(error), permanent=True)
    if isinstance(error, ssl.SSLError):
        return FeedFailure("tls", f"TLS: {error.reason or error}")
    if isinstance(error, TimeoutError):
        return FeedFailure("timeout", "no answer in time")
    if isinstance(error, InvalidHandshake | WebSocketException):
        return FeedFailure("protocol", str(error) or type(error).__name__)
    return FeedFailure("unreachable", str(error) or type(error).__name__)


def _closed(error: ConnectionClosed) -> FeedFailure:
    sent, received = error.sent, error.rcvd
    if received is None and sent is not None and sent.code == 1009:
        return FeedFailure("oversized", "a message larger than the limit came")
    if received is None:
        code = sent.code if sent is not None else 1006
        words = sent.reason if sent is not None and sent.reason else "the connection broke"
        return FeedFailure("timeout" if "ping" in words else "closed", f"{code}: {words}")
    text = f"{received.code}: {received.reason or 'closed by the exchange'}"
    if received.code == 1008:  # Binance closes so who sends too much
        return FeedFailure("limited", text)
    return FeedFailure("restart" if received.code in (1001, 1012, 1013) else "closed", text)


@dataclass
class Backoff:
    """Pauses between connections, by the project's policy: they grow from one second to sixty.

    After five failures in a row the breaker is open: the pause is the longest until one attempt
    succeeds. An exchange that asks for a longer one gets it.
    """

    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open."""
        return self.failures >= _BREAKS_AFTER

    def succeeded(self) -> None:
        """Begin again with short pauses."""
        self.failures = 0

    def next_pause(self, failure: FeedFailure) -> float:
        """Note a failure; return how many seconds to wait before the next attempt."""
        self.failures += 1
        pause = PAUSES.delay_seconds(_LONGEST if self.is_open else self.failures)
        return max(pause, failure.wait_seconds or 0.0)

"""The definition of an exchange's live websocket service, as frozen data and functions.

An exchange's own facts stand in its folder (``exchanges/<name>/live.py``) with their sources.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from k2.exchanges.parsing import RawRecord

NoticeKind = Literal["subscribed", "refused", "failed", "shutdown", "status", "heartbeat"]


@dataclass(frozen=True, slots=True)
class Notice:
    """The meaning of a message that carries no trades.

    ``subscribed`` and ``refused`` name markets; ``failed`` is an error of the whole connection;
    ``shutdown`` announces that the server will close it; a ``heartbeat`` may know the newest trade's
    number (``last``) of its market.
    """

    kind: NoticeKind
    markets: tuple[str, ...] = ()
    reason: str = ""
    last: int | None = None


class Answer(NamedTuple):
    """An HTTP answer of the exchange's history: status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Missing(NamedTuple):
    """Trades of one market that the feed did not receive: numbers ``first`` to ``last``, both missing.

    ``after_us`` is the time of the newest trade before them, in µs since 1970.
    """

    market: str
    first: int
    last: int
    after_us: int


# Asks the exchange's REST interface for a path with parameters, within its limits.
Get = Callable[[str, dict[str, str]], Awaitable[Answer]]


@dataclass(frozen=True)
class History:
    """How an exchange's REST interface gives trades again.

    ``fetch`` yields messages in the websocket's own form, so that one parser reads both. It may
    yield trades beside the missing ones: identity makes them harmless. ``newest`` returns a market's
    newest trade in the same form, None where the exchange has none. ``seconds`` is the pause between
    two requests that stays within the exchange's limit. ``listing`` is the path of its list of markets.
    """

    url: str
    listing: str
    seconds: float
    fetch: Callable[[Get, Missing], AsyncIterator[bytes]]
    newest: Callable[[Get, str], Awaitable[bytes | None]]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveService:
    """One websocket service.

    ``subscribe`` gives the messages that ask for markets (by the exchange's own names); ``notice``
    reads what a message without trades says; ``numbers`` gives the range of numbers that a record
    covers, in the numbering that proves completeness, or None where there is none.
    """

    name: str
    exchange: str
    url: str
    market: str  # which of the exchange's markets, such as spot
    separator: str  # between the two codes of a market's name
    subscribe: Callable[[Sequence[str]], list[str]]
    notice: Callable[[dict[str, Any]], Notice | None]
    numbers: Callable[[RawRecord], tuple[int, int] | None]
    history: History | None = None
    max_markets: int = 1_000  # of one connection
    message_seconds: float = 0.5  # between two messages of ours
    max_connects: int = 150  # in ``connects_seconds``
    connects_seconds: float = 600.0
    lifetime_seconds: float | None = None  # after which the server cuts the connection
    silence_seconds: float | None = None  # without any message; None: only pings tell
    pause_seconds: float = 0.0  # least time between two connections, beyond K2's own
    acks_markets: bool = False  # whether the answer to a subscription names each market
    refuses_all: bool = False  # whether one market that it refuses is the end of all of the message

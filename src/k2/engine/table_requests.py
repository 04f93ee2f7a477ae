"""What can be asked of the process that owns a stream's tables, and how a request reaches it.

Only the owner of a stream's tables may write them. A job of another process therefore leaves a request
where the owner looks (:class:`Control`); the owner executes it between two batches and leaves the answer.
One whose owner died is executed by the next.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from k2.errors import K2Error

REPLAY, MAINTAIN, VERSIONS = "dlq-replay", "maintain", "versions"


@dataclass(frozen=True)
class Request:
    """What is asked of the owner of a stream's tables. The same ``id`` again goes on where it ended."""

    kind: str
    stream: str
    options: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


# Keeps the stream's batches out while it is held.
ExclusiveSection = Callable[[], AbstractContextManager[None]]

# Executes a request to a stream: with the section in which its tables are not written, and whether it
# should continue. Returns the answer; None when it should not, and the rest is left to the next owner.
RequestHandler = Callable[[Request, ExclusiveSection, Callable[[], bool]], dict[str, Any] | None]


class StreamWish(NamedTuple):
    """What people want of a stream: that it stands still, and how often they had it started again."""

    is_paused: bool = False
    restarts: int = 0


class Control(Protocol):
    """How others reach the streams of a process. Every call may raise UnavailableError."""

    def wishes(self) -> Mapping[str, StreamWish]:
        """Return what is wanted of streams; of one that is missing, nothing."""

    def pending(self, streams: Collection[str]) -> list[Request]:
        """Return the requests to these streams that have no answer, oldest first."""

    def begin(self, request: Request) -> bool:
        """Note that a request is being executed; False where nobody wants it any more."""

    def is_wanted(self, request: Request) -> bool:
        """Tell whether somebody still waits for a request's answer."""

    def answer(self, request: Request, said: Mapping[str, Any] | K2Error) -> None:
        """Leave the answer."""

    def put_back(self, request: Request) -> None:
        """Note that a request is not being executed; what is left of it waits for the next owner."""


class NoControl:
    """Nobody reaches the streams, as in a test."""

    def wishes(self) -> Mapping[str, StreamWish]:
        return {}

    def pending(self, streams: Collection[str]) -> list[Request]:
        return []

    def begin(self, request: Request) -> bool:
        return False

    def is_wanted(self, request: Request) -> bool:
        return False

    def answer(self, request: Request, said: Mapping[str, Any] | K2Error) -> None:
        """Nobody asked."""

    def put_back(self, request: Request) -> None:
        """Nobody asked."""

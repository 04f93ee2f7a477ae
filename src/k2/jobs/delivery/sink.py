"""The interface of a sink of events."""

from typing import Protocol

from k2.errors import FailedError, UnavailableError
from k2.jobs.outbox import Event


class SinkUnavailableError(UnavailableError):
    """The sink did not take the event now; ``retry_after_seconds`` where it said when it may."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SinkRefusedError(FailedError):
    """The sink will never take the event as it is."""


class SinkAbsentError(UnavailableError):
    """Where the sink is is not known yet, such as Kafka before `k2 up`: no attempt was made."""


class Sink(Protocol):
    """Accepts events one after the other; called in a thread of its own.

    An installed package adds one by an entry point in the group ``k2.event_sinks``: a function of
    K2's settings that returns a sink, or None where it is not wanted.
    """

    @property
    def name(self) -> str:
        """Its name in metrics and commands, always the same for the same destination."""

    def deliver(self, event: Event) -> None:
        """Deliver one event; when this returns, the sink has it.

        Raises:
            SinkUnavailableError: not now; it is tried again later.
            SinkRefusedError: never; it is given up and kept.
            SinkAbsentError: the sink is nowhere yet.
        """

    def close(self) -> None:
        """Close connections."""

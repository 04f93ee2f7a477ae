"""Threads that deliver events: one finds new events, and one for each sink sends them. A slow sink delays no other."""

import threading
from collections.abc import Callable, Sequence

import structlog

from k2.errors import K2Error, UnavailableError
from k2.jobs.database import Database
from k2.jobs.delivery.backlog import (
    Claimed,
    claim,
    delete_delivered,
    dispatch,
    failed,
    put_back,
    release_claims,
)
from k2.jobs.delivery.sink import Sink, SinkAbsentError, SinkRefusedError
from k2.jobs.fault_points import reach
from k2.observability.redaction import redacted
from k2.retry import POLICY, RetryPolicy

log = structlog.get_logger("k2.events")

_LOOK_SECONDS = 0.5
_ABSENT_SECONDS = 10.0
_TROUBLE_SECONDS = 5.0
_JOIN_SECONDS = 15.0


class Dispatcher:
    """Delivers the events of a database to sinks, from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        database: Database,
        sinks: Sequence[Sink],
        policy: RetryPolicy = POLICY,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """Describe the delivery; nothing is sent yet."""
        self._database, self._sinks = database, list(sinks)
        self._policy, self._look_seconds = policy, look_seconds
        self._ending = threading.Event()
        works = [self._dispatch_once, *(self._sending(sink) for sink in self._sinks)]
        names = ["k2-events", *(f"k2-events-{sink.name}" for sink in self._sinks)]
        self._threads = [
            threading.Thread(target=self._repeat, args=(work,), name=name, daemon=True)
            for work, name in zip(works, names, strict=True)
        ]

    def start(self) -> None:
        """Start to deliver; of SQLite by the one process that runs its jobs."""
        if self._database.is_sqlite:
            release_claims(self._database)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the current event; the other events wait for the next start."""
        self._ending.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_JOIN_SECONDS)
        for sink in self._sinks:
            sink.close()

    def deliver_once(self, sink: Sink) -> float:
        """Deliver the events that wait for a sink; return the seconds until the next attempt."""
        claimed = claim(self._database, sink.name)
        done: list[int] = []
        left = [one.event.seq for one in claimed]
        wait = 0.0 if claimed else self._look_seconds
        try:
            for one in claimed:
                if self._ending.is_set():
                    break
                left.remove(one.event.seq)
                wait = self._deliver(sink, one, done)
                if wait:
                    break
        finally:
            delete_delivered(self._database, sink.name, done)
            put_back(self._database, sink.name, left)
        return wait

    def _deliver(self, sink: Sink, one: Claimed, done: list[int]) -> float:
        """Deliver one event; return how long to wait before the one after it."""
        try:
            reach("event-before-sent")
            sink.deliver(one.event)
            reach("event-sent")
        except SinkAbsentError:
            put_back(self._database, sink.name, [one.event.seq])
            return _ABSENT_SECONDS
        except SinkRefusedError as error:
            self._note(sink, one, error, None)
            return 0.0
        except Exception as error:
            wait = self._policy.delay_seconds(one.attempts + 1, error)
            self._note(sink, one, error, wait)
            return max(wait, self._look_seconds)
        done.append(one.event.seq)
        return 0.0

    def _note(self, sink: Sink, one: Claimed, error: Exception, wait_seconds: float | None) -> None:
        reason = str(redacted(str(error)))
        failed(self._database, one, sink.name, reason, wait_seconds)
        log.warning(
            "event_undelivered",
            sink=sink.name,
            event_seq=one.event.seq,
            attempt=one.attempts + 1,
            given_up=wait_seconds is None,
            reason=reason,
        )

    def _dispatch_once(self) -> float:
        reach("outbox-before-dispatch")
        found = dispatch(self._database, [sink.name for sink in self._sinks])
        return 0.0 if found else self._look_seconds

    def _sending(self, sink: Sink) -> Callable[[], float]:
        return lambda: self.deliver_once(sink)

    def _repeat(self, work: Callable[[], float]) -> None:
        while not self._ending.is_set():
            try:
                wait = work()
            except UnavailableError:
                wait = _TROUBLE_SECONDS  # of the registry; the watchdog says so
            except K2Error as error:
                log.error("events_stand_still", reason=str(error))
                wait = _TROUBLE_SECONDS
            self._ending.wait(wait)

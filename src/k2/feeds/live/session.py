"""Keeps some markets of a service connected: reconnects after failures, and replaces with overlap."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from k2.exchanges.live import LiveService
from k2.feeds.live.connection import Connection, ConnectionListener, Take, describe
from k2.feeds.live.failures import Backoff, FeedFailure, failure_of

log = structlog.get_logger("k2.feeds")

MIN_PAUSE_SECONDS = 1.0  # between two connections, if the service asks for no more
_OVERLAP_SECONDS = 15.0  # that an old connection stays until the new one has brought a trade


class SessionListener(ConnectionListener, Protocol):
    """Is told what happens to a session's connections."""

    def connected(self, connection: Connection) -> None:
        """Note that a connection was opened."""

    def disconnected(self, connection: Connection, failure: FeedFailure) -> None:
        """Note that a connection has ended, and why."""

    def not_connected(self, service: LiveService, failure: FeedFailure, pause: float) -> None:
        """Note that none could be opened; the next attempt is after ``pause`` seconds."""


class PermanentFailure(Exception):
    """A failure that trying again does not cure: it ends the feed of its service."""

    def __init__(self, failure: FeedFailure) -> None:
        """Keep the failure."""
        super().__init__(failure.text)
        self.failure = failure


@dataclass
class ConnectBudget:
    """Keeps to the exchange's limit of connections in a span of time, over all sessions of a service."""

    service: LiveService
    clock: Callable[[], float] = time.monotonic
    _made: deque[float] = field(default_factory=deque)

    async def take(self) -> None:
        """Wait until another connection may be opened."""
        while True:
            now = self.clock()
            while self._made and now - self._made[0] > self.service.connects_seconds:
                self._made.popleft()
            if len(self._made) < self.service.max_connects:
                self._made.append(now)
                return
            await asyncio.sleep(min(self.service.connects_seconds / 10, 1.0))


@dataclass
class Session:
    """One connection's worth of markets, kept connected until :meth:`stop`."""

    service: LiveService
    url: str
    markets: Sequence[str]
    take: Take
    listener: SessionListener
    budget: ConnectBudget
    backoff: Backoff = field(default_factory=Backoff)
    refused: set[str] = field(default_factory=set)
    current: Connection | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Stay connected.

        Raises:
            PermanentFailure: the exchange refuses for good.
        """
        try:
            while not self._stopping.is_set():
                opened = await self._open()
                if opened is not None:
                    await self._keep(opened)
        finally:
            if self.current is not None:
                await self.current.close()

    def stop(self) -> None:
        """End the session."""
        self._stopping.set()

    async def _open(self) -> "tuple[Connection, asyncio.Task[FeedFailure]] | None":
        """Try once to connect; after a failure, wait as long as it asks for."""
        await self.budget.take()
        connection = Connection(
            self.service, self.url, self.markets, self.take, self.listener, self.refused
        )
        try:
            await connection.open()
        except Exception as error:  # classified by type, and told
            failure = failure_of(error)
            if failure.permanent:
                raise PermanentFailure(failure) from error
            pause = self._next_pause(failure)
            self.listener.not_connected(self.service, failure, pause)
            await self._pause(pause)
            return None
        self.listener.connected(connection)
        return connection, asyncio.ensure_future(connection.serve())

    async def _keep(self, opened: "tuple[Connection, asyncio.Task[FeedFailure]]") -> None:
        """Read from a connection, and from those that replace it, until one breaks or all is over."""
        connection, serving = opened
        self.current = connection
        while True:
            failure = await self._until_end_or_replacement(connection, serving)
            if failure is None and not self._stopping.is_set():
                replaced = await self._replace(connection, serving)
                if replaced is not None:
                    connection, serving = replaced
                    self.current = connection
                continue
            if failure is None:
                await connection.close()
                failure = await serving
                self.listener.disconnected(connection, FeedFailure("stopped", "the feed ends"))
                return
            self.listener.disconnected(connection, failure)
            if failure.permanent:
                raise PermanentFailure(failure)
            if connection.messages > len(self.markets):
                self.backoff.succeeded()
            await self._pause(self._next_pause(failure))
            return

    async def _until_end_or_replacement(
        self, connection: Connection, serving: "asyncio.Task[FeedFailure]"
    ) -> FeedFailure | None:
        """Wait; None when the connection still works and should end or be replaced."""
        events = [
            asyncio.ensure_future(connection.replace.wait()),
            asyncio.ensure_future(self._stopping.wait()),
        ]
        try:
            await asyncio.wait([serving, *events], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
        return serving.result() if serving.done() else None

    async def _replace(
        self, old: Connection, serving: "asyncio.Task[FeedFailure]"
    ) -> "tuple[Connection, asyncio.Task[FeedFailure]] | None":
        """Open a second connection, and end the first when the second has brought trades."""
        old.replace.clear()
        log.info("feed_reconnects", service=self.service.name, reason=old.replaced_for)
        opened = await self._open()
        if opened is None:
            old.replace.set()
            return None
        connection, _ = opened
        try:
            await asyncio.wait_for(connection.proven.wait(), _OVERLAP_SECONDS)
        except TimeoutError:
            log.warning("feed_overlap_without_trades", markets=describe(self.markets))
        await old.close()
        await serving
        self.listener.disconnected(old, FeedFailure("planned", old.replaced_for))
        return opened

    def _next_pause(self, failure: FeedFailure) -> float:
        pause = self.backoff.next_pause(failure)
        return max(pause, self.service.pause_seconds, MIN_PAUSE_SECONDS)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

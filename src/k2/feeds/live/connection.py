"""One websocket connection: open, subscribe, read, and notice when it is dead or must be replaced."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from k2.exchanges.live import LiveService, Notice
from k2.feeds.live.failures import FeedFailure, failure_of

MAX_MESSAGE_BYTES = 4 << 20
_OPEN_SECONDS = 10.0
PING_SECONDS = 15.0
ANSWER_SECONDS = 10.0  # to a subscription
_BREATHE_EVERY = 128  # messages, after which others may run
_LIFETIME_MARGIN_SECONDS = 600.0  # before the exchange's own cut

# Takes a message, when it was received (µs since 1970), and from which connection; tells whether it
# was one of trades.
Take = Callable[[bytes, int, "Connection"], bool]


class ConnectionListener(Protocol):
    """Is told what happens on a connection."""

    def subscribing(self, connection: "Connection") -> None:
        """Note that it has asked for its markets."""

    def noticed(self, notice: Notice, connection: "Connection") -> None:
        """Take what the exchange says beside its trades."""


@dataclass
class Connection:
    """One connection for some markets of a service.

    ``replace`` is set when the connection should be replaced by another while it still works:
    announced by the server, or near the end of its life. ``proven`` is set by the first trades, or,
    where a subscription was acknowledged, by that after a while. ``refused`` markets are asked for no more.
    """

    service: LiveService
    url: str
    markets: Sequence[str]
    take: Take
    listener: ConnectionListener
    refused: set[str] = field(default_factory=set)
    session: str = field(default_factory=lambda: uuid4().hex[:12])
    opened_us: int = 0
    messages: int = 0
    acknowledged: set[str] = field(default_factory=set)
    heard_us: dict[str, int] = field(default_factory=dict)  # when a market's newest trade came
    subscribed_at: float | None = None
    replace: asyncio.Event = field(default_factory=asyncio.Event)
    proven: asyncio.Event = field(default_factory=asyncio.Event)
    replaced_for: str = ""
    _socket: ClientConnection | None = None
    _last_message: float = 0.0
    _broken_for: FeedFailure | None = None
    _resubscribe: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Connect. Raises what :func:`failure_of` classifies."""
        self._socket = await connect(
            self.url,
            open_timeout=_OPEN_SECONDS,
            ping_interval=None,  # a pong may be behind much that is still to be read: see _watch
            close_timeout=2.0,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=(4096, 1024),
            user_agent_header="k2",
        )
        self.opened_us = time.time_ns() // 1000
        self._last_message = time.monotonic()

    async def serve(self) -> FeedFailure:
        """Subscribe and read until the connection ends; return why it did."""
        assert self._socket is not None  # noqa: S101 — opened before
        watchers = [
            asyncio.ensure_future(self._subscribe()),
            asyncio.ensure_future(self._watch()),
        ]
        try:
            await self._read(self._socket)
            return FeedFailure("stopped", "closed by K2")
        except ConnectionClosed as error:
            return self._broken_for or failure_of(error)
        except OSError as error:
            return failure_of(error)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            with contextlib.suppress(Exception):
                await self._socket.close()

    async def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            await self._socket.close()

    def ask_replacement(self, reason: str) -> None:
        """Ask for another connection in place of this one, which goes on until that works."""
        self.replaced_for = self.replaced_for or reason
        self.replace.set()

    async def _read(self, socket: ClientConnection) -> None:
        async for message in _messages(socket):
            received_us = time.time_ns() // 1000
            self._last_message = time.monotonic()
            self.messages += 1
            if self.take(message, received_us, self):
                self.proven.set()
            else:
                self._notice(message)
            if self.messages % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)

    def _notice(self, message: bytes) -> None:
        try:
            content = orjson.loads(message)
        except orjson.JSONDecodeError:
            return  # the parser has rejected it
        if not isinstance(content, dict):
            return
        notice = self.service.notice(content)
        if notice is None:
            return
        if notice.kind == "subscribed":
            self.acknowledged.update(notice.markets)
        elif notice.kind == "shutdown":
            self.ask_replacement(notice.reason)
        elif notice.kind == "refused":
            self.refused.update(notice.markets)
        self.listener.noticed(notice, self)
        if notice.kind == "refused":
            self._go_on_without(notice)

    @property
    def wanted(self) -> list[str]:
        """The markets but for those that the exchange refused."""
        return [market for market in self.markets if market not in self.refused]

    def _go_on_without(self, refusal: Notice) -> None:
        if not self.wanted:
            reason = f"{describe(refusal.markets)}: {refusal.reason}"
            self._break(FeedFailure("refused", reason, permanent=True))
        elif self.service.refuses_all:
            self._resubscribe.set()

    async def _subscribe(self) -> None:
        assert self._socket is not None  # noqa: S101 — opened before
        while True:
            for place, message in enumerate(self.service.subscribe(self.wanted)):
                if place:
                    await asyncio.sleep(self.service.message_seconds)
                with contextlib.suppress(ConnectionClosed):
                    await self._socket.send(message)
            self.listener.subscribing(self)
            self.subscribed_at = time.monotonic()
            await self._resubscribe.wait()
            self._resubscribe.clear()
            await asyncio.sleep(self.service.message_seconds)

    async def _watch(self) -> None:
        """Notice silence, subscriptions without an answer, and the end of a connection's life."""
        life = self.service.lifetime_seconds
        begun = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            limit = self.service.silence_seconds
            if limit is not None and now - self._last_message > limit:
                self._break(FeedFailure("silent", f"no message for {limit:.0f} s"))
                return
            if limit is None and not await self._is_alive(now):
                self._break(FeedFailure("timeout", "no message, and no answer to a ping"))
                return
            unanswered = self._unanswered(now)
            if unanswered:
                reason = f"{describe(unanswered)}: the subscription was not answered"
                self._break(FeedFailure("protocol", reason))
                return
            if life is not None and now - begun > max(life - _LIFETIME_MARGIN_SECONDS, life / 2):
                self.ask_replacement("the exchange cuts connections of this age")

    async def _is_alive(self, now: float) -> bool:
        """Ping a connection that has been quiet; one that brings messages meanwhile needs no answer."""
        assert self._socket is not None  # noqa: S101 — opened before
        if now - self._last_message < PING_SECONDS:
            return True
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(PING_SECONDS):
                await (await self._socket.ping())
                self._last_message = max(self._last_message, now)  # asked again only after a while
                return True
        return self._last_message > now

    def _unanswered(self, now: float) -> list[str]:
        """Return the markets whose subscription nobody has answered in time."""
        asked = self.subscribed_at
        if not self.service.acks_markets or asked is None or now - asked < ANSWER_SECONDS:
            return []
        return [market for market in self.wanted if market not in self.acknowledged]

    def _break(self, failure: FeedFailure) -> None:
        self._broken_for = failure
        if self._socket is not None:
            # The other side may be gone: what is not answered is not waited for.
            self._socket.transport.abort()


async def _messages(socket: ClientConnection) -> AsyncIterator[bytes]:
    while True:
        message = await socket.recv(decode=False)
        yield message if isinstance(message, bytes) else message.encode()


def describe(markets: Sequence[str]) -> str:
    """Name some markets in a sentence."""
    shown = ", ".join(markets[:5])
    return shown if len(markets) <= 5 else f"{shown} and {len(markets) - 5} more"

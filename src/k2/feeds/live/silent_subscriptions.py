"""Finds subscriptions that an exchange acknowledges and does not serve: it has trades, and none comes.

A quiet market and a dead subscription look the same on the connection. Only the exchange's history tells
them apart.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from k2.errors import K2Error
from k2.exchanges.live import LiveService
from k2.exchanges.parsing import Parser
from k2.feeds.live.connection import Connection
from k2.feeds.live.feed_metrics import FeedMetrics
from k2.feeds.live.journal import FeedJournal
from k2.feeds.live.refill import Refill
from k2.feeds.live.session import Session

log = structlog.get_logger("k2.feeds")

ASK_SECONDS = 5.0  # between two questions: filling holes goes first
GRACE_SECONDS = 2.0  # for a trade that the history had before the connection
_MAX_WAIT_SECONDS = 3_600.0  # between two new connections for one market


class NewestTrade(NamedTuple):
    """The newest trade of a market at the exchange: the last number it covers, and its time (µs)."""

    number: int
    time_us: int


@dataclass
class _Quiet:
    """A market that brings nothing on a connection: since when, and what the exchange said last."""

    connection: Connection
    heard_us: int | None
    since: float
    number: int | None = None


@dataclass
class _Silence:
    """How often in a row a market's subscription was found silent, and when a new one may be made."""

    times: int
    again_at: float


@dataclass
class SilentSubscriptions:
    """Asks the exchange about markets that are quiet for ``quiet_seconds``, and again after as long.

    ``on_newest`` is told each answer: what is missing up to there is a hole, and is filled. Where the second
    answer is newer than the first and still nothing came, the subscription is silent: it is told, counted,
    and the connection replaced by another, which subscribes again. A market that stays silent is given
    another connection ever more seldom; its trades come from the history.
    """

    service: LiveService
    sessions: Sequence[Session]
    refill: Refill
    parse: Parser
    journal: FeedJournal
    metrics: FeedMetrics
    on_newest: Callable[[str, NewestTrade], None]
    quiet_seconds: float
    _quiet: dict[str, _Quiet] = field(default_factory=dict)
    _silent: dict[str, _Silence] = field(default_factory=dict)

    async def run(self) -> None:
        """Ask about the market that has been quiet longest, again and again, until cancelled."""
        while True:
            await asyncio.sleep(ASK_SECONDS)
            market = self._longest_quiet(time.monotonic() - self.quiet_seconds)
            if market is not None:
                await self._ask_about(market)

    def _longest_quiet(self, before: float) -> str | None:
        """Bring up to date what is quiet; return the market that is so since before a time, if any is."""
        found: str | None = None
        subscribed: set[str] = set()
        for market, connection, begin in self._subscriptions():
            subscribed.add(market)
            heard = connection.heard_us.get(market)
            quiet = self._quiet.get(market)
            if quiet is None or quiet.connection is not connection or quiet.heard_us != heard:
                since = begin if heard is None else time.monotonic()
                quiet = self._quiet[market] = _Quiet(connection, heard, since)
            if quiet.since < before and (found is None or quiet.since < self._quiet[found].since):
                found = market
        for market in self._quiet.keys() - subscribed:
            del self._quiet[market]
        return found

    def _subscriptions(self) -> Iterator[tuple[str, Connection, float]]:
        for session in self.sessions:
            connection = session.current
            if connection is None or connection.subscribed_at is None or connection.replaced_for:
                continue
            for market in connection.wanted:
                yield market, connection, connection.subscribed_at

    async def _ask_about(self, market: str) -> None:
        quiet = self._quiet[market]
        quiet.since = time.monotonic()
        try:
            newest = await self._newest(market)
        except K2Error as error:
            log.warning("market_not_asked", market=market, reason=str(error)[:200])
            return
        await asyncio.sleep(GRACE_SECONDS)
        if newest is None or quiet.connection.heard_us.get(market) != quiet.heard_us:
            return
        self.on_newest(market, newest)
        before, quiet.number = quiet.number, newest.number
        if before is not None and newest.number > before:
            self._subscribe_again(market, quiet.connection, newest.number - before)

    async def _newest(self, market: str) -> NewestTrade | None:
        """Raises K2Error where the exchange gives no answer that can be read."""
        message = await self.refill.newest(market)
        if message is None:
            return None
        now_us = time.time_ns() // 1000
        parsed = self.parse(message, now_us)
        numbers = self.service.numbers(parsed.trades[-1]) if parsed.trades else None
        return None if numbers is None else NewestTrade(numbers[1], parsed.event_us or now_us)

    def _subscribe_again(self, market: str, connection: Connection, trades: int) -> None:
        now = time.monotonic()
        silence = self._silent.get(market, _Silence(0, 0.0))
        if now < silence.again_at:
            return
        if now > silence.again_at + _MAX_WAIT_SECONDS:
            silence = _Silence(0, 0.0)
        wait = min(self.quiet_seconds * 2**silence.times, _MAX_WAIT_SECONDS)
        self._silent[market] = _Silence(silence.times + 1, now + wait)
        reason = f"{market}: acknowledged, and silent, while the exchange had {trades} trades"
        self.metrics.silent_subscription()
        self.journal.write("silent", session=connection.session, markets=[market], reason=reason)
        log.warning("subscription_silent", service=self.service.name, market=market, trades=trades)
        connection.ask_replacement(reason)

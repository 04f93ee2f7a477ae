"""The live feed of one service: its sessions, the numbers that came, and the holes to fill."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from k2.avro.encoding import Encoder
from k2.exchanges import Exchange
from k2.exchanges.live import LiveService
from k2.exchanges.parsing import Parser, RawRecord
from k2.feeds.live.connection import Connection
from k2.feeds.live.failures import Backoff, FeedFailure
from k2.feeds.live.feed_metrics import FeedMetrics
from k2.feeds.live.feed_record import Dropped, FeedRecord
from k2.feeds.live.feed_state import adopt_holes, placed, read_state, state_content, write_state
from k2.feeds.live.gap_filler import GapFiller, RefillJobs
from k2.feeds.live.holes import FINAL, Hole, MarketNumbers
from k2.feeds.live.journal import FeedJournal
from k2.feeds.live.refill import Refill
from k2.feeds.live.sender import Sender
from k2.feeds.live.session import ConnectBudget, PermanentFailure, Session
from k2.feeds.live.session_events import SessionEvents
from k2.feeds.live.silent_subscriptions import NewestTrade, SilentSubscriptions
from k2.settings import Settings

log = structlog.get_logger("k2.feeds")

_SNAPSHOT_US = 2_000_000  # after a connection was opened
_LOST_US = (
    300_000_000  # by which a lost trade's time at the exchange is before its arrival, at most
)


@dataclass
class LiveFeed:
    """Takes the trades of some markets of one service to Kafka.

    Every number that an exchange gives is accounted for: sent, or in a hole that is open, or final
    with a reason. What happens to connections and holes goes to the journal.
    """

    service: LiveService
    exchange: Exchange
    markets: Sequence[str]
    parse: Parser
    encode: Encoder
    sender: Sender
    journal: FeedJournal
    metrics: FeedMetrics
    settings: Settings
    place: int
    refill: Refill | None
    url: str
    jobs: RefillJobs | None = None
    numbers: dict[str, MarketNumbers] = field(default_factory=dict)
    _failure: FeedFailure | None = None
    _sessions: list[Session] = field(default_factory=list)
    _saved: tuple[int, bytes] | None = None

    def __post_init__(self) -> None:
        self.numbers = read_state(self.settings, self.service.name, self.place)
        self.events = SessionEvents(self.service, self.journal, self.metrics, self._expect)
        budget = ConnectBudget(self.service)
        most = self.service.max_markets
        for start in range(0, len(self.markets), most):
            group = self.markets[start : start + most]
            self._sessions.append(
                Session(self.service, self.url, group, self.take, self.events, budget, Backoff())
            )

    @property
    def failure(self) -> FeedFailure | None:
        """Why the feed ended, or a market of it was refused."""
        return self._failure or self.events.failure

    @property
    def open_trades(self) -> int:
        """How many trades are missing and may still come."""
        return sum(hole.size for market in self.numbers.values() for hole in market.open_holes())

    @property
    def final_trades(self) -> int:
        """How many trades are missing for good."""
        every = (hole for market in self.numbers.values() for hole in market.holes)
        return sum(hole.size for hole in every if hole.state == FINAL)

    async def run(self) -> None:
        """Run until :meth:`stop`, or until the exchange refuses for good."""
        filler = GapFiller(self.service.name, self.numbers, self.refill, self.journal, self.jobs)
        beside = [asyncio.ensure_future(filler.run())]
        if self.refill is not None and self.settings.feed_quiet_seconds:
            beside.append(asyncio.ensure_future(self._silent_subscriptions(self.refill).run()))
        self.journal.write("started", markets=list(self.markets), pid=os.getpid())
        try:
            async with asyncio.TaskGroup() as group:
                for session in self._sessions:
                    group.create_task(session.run())
        except* PermanentFailure as errors:
            self._failure = errors.exceptions[0].failure  # type: ignore[union-attr]
            self.journal.write("feed_failed", reason=self._failure.text)
            log.error("feed_failed", service=self.service.name, reason=self._failure.text)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self.journal.write("stopped", markets=list(self.markets), pid=os.getpid())

    def stop(self) -> None:
        """End all connections."""
        for session in self._sessions:
            session.stop()

    def take(self, message: bytes, received_us: int, connection: Connection) -> bool:
        """Send what is in a message; tell whether it was one of trades."""
        parsed = self.parse(message, received_us)
        self.metrics.message(parsed.kind, received_us)
        if parsed.rejected is not None:
            self.sender.send(
                FeedRecord(self.exchange.rejected_topic, None, message, received_us // 1000)
            )
            return False
        # What a subscription begins with may be of long ago.
        is_new = received_us - connection.opened_us > _SNAPSHOT_US
        for record in parsed.trades:
            connection.heard_us[record["symbol"]] = received_us
            self._send(record, received_us, parsed.event_us or received_us, is_new)
        return bool(parsed.trades)

    def take_again(self, message: bytes, received_us: int) -> None:
        """Send what is missing of a message of the history, which is in the websocket's form."""
        parsed = self.parse(message, received_us)
        if parsed.rejected is not None:
            raise ValueError(f"the history gave no trade: {parsed.rejected}")
        for record in parsed.trades:
            numbers, known = self.service.numbers(record), self.numbers.get(record["symbol"])
            if numbers is not None and known is not None and known.lacks(*numbers):
                event_us = parsed.event_us or received_us
                self._send(record, received_us, event_us, by_itself=False)

    def _send(
        self,
        record: RawRecord,
        received_us: int,
        event_us: int,
        is_new: bool = False,
        by_itself: bool = True,
    ) -> None:
        market: str = record["symbol"]
        numbers = self.service.numbers(record)
        first, last = numbers if numbers is not None else (None, None)
        if first is not None and last is not None:
            self._account(market, first, last, event_us, received_us, by_itself)
        value, time_ms = self.encode(record), received_us // 1000
        self.sender.send(
            FeedRecord(
                self.exchange.topic, market.encode(), value, time_ms, market, first, last, event_us
            )
        )
        self.metrics.trade(event_us, received_us, is_new)

    def _account(
        self, market: str, first: int, last: int, event_us: int, now_us: int, by_itself: bool
    ) -> None:
        known = self.numbers.get(market)
        if known is None:
            known = self.numbers[market] = MarketNumbers()
        # What the history gives its range says, once it is through (gap_filler).
        if by_itself and known.holes and known.lacks(first, last):
            self.journal.write("gap_closed", markets=[market], first=first, last=last)
        hole = known.take(first, last, event_us, now_us)
        if hole is not None:
            self._found(market, hole, event_us)

    def _found(self, market: str, hole: Hole, before_us: int | None = None) -> None:
        self.metrics.hole(hole.size)
        self.journal.write(
            "gap_opened",
            markets=[market],
            reason=hole.reason,
            first=hole.first,
            last=hole.last,
            after_us=hole.after_us,
            before_us=before_us,
        )

    def adopt(self, left: Mapping[str, MarketNumbers]) -> None:
        """Take over the holes that another process has left."""
        adopt_holes(self.numbers, left)

    def lost(self, dropped: Dropped) -> None:
        """Note what a full spool dropped: holes again, which the exchange may fill."""
        self.metrics.dropped(dropped.records)
        now_us = time.time_ns() // 1000
        for market, (first, last, event_us) in dropped.ranges.items():
            if market in self.numbers:
                hole = self.numbers[market].reopen(
                    first, last, event_us - 1_000_000, now_us, "the spool was full"
                )
                self._found(market, hole)
        log.error("spool_dropped", service=self.service.name, records=dropped.records)

    def tick(self) -> None:
        """Write the numbers that Kafka has to disk, and tell the gauges. Once a second."""
        is_broken = any(session.backoff.is_open for session in self._sessions)
        self.metrics.look(self.sender, self.open_trades, self.final_trades, is_broken)
        self.events.look()
        # What is written names no number that Kafka may not have yet.
        if self._saved is None:
            self._saved = self.sender.queued, state_content(self.numbers)
        elif not len(self.sender.spool) and self.sender.delivered >= self._saved[0]:
            write_state(self.settings, placed(self.service.name, self.place), self._saved[1])
            self._saved = None

    def finish(self) -> None:
        """Write the numbers for the next start; everything sent is in Kafka or in the spool."""
        write_state(
            self.settings, placed(self.service.name, self.place), state_content(self.numbers)
        )

    def _silent_subscriptions(self, refill: Refill) -> SilentSubscriptions:
        return SilentSubscriptions(
            *(self.service, self._sessions, refill, self.parse, self.journal, self.metrics),
            on_newest=self._expect_newest,
            quiet_seconds=self.settings.feed_quiet_seconds,
        )

    def _expect_newest(self, market: str, newest: NewestTrade) -> None:
        """Expect what the exchange has; a market that never brought anything begins here."""
        begin = MarketNumbers(newest.number, newest.time_us)
        if self.numbers.setdefault(market, begin) is not begin:
            self._expect(market, newest.number)

    def _expect(self, market: str, last: int) -> None:
        """Note that the exchange has numbers up to ``last``."""
        known = self.numbers.get(market)
        if known is not None:
            hole = known.expect(last, time.time_ns() // 1000)
            if hole is not None:
                self._found(market, hole)


def count_by_market(numbers: Mapping[str, MarketNumbers]) -> dict[str, int]:
    """Return how many trades each market lacks, open or final; markets without any are left out."""
    found = {market: sum(hole.size for hole in n.holes) for market, n in numbers.items()}
    return {market: count for market, count in found.items() if count}

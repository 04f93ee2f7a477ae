"""The process of a live feed: all services side by side, one's trouble never another's."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from k2.avro.encoding import Encoder
from k2.exchanges import exchange_named
from k2.exchanges.parsers import parser_of
from k2.feeds.live.feed import LiveFeed, count_by_market
from k2.feeds.live.feed_metrics import FeedMetrics
from k2.feeds.live.feed_state import placed
from k2.feeds.live.gap_filler import RefillJobs
from k2.feeds.live.journal import FeedJournal
from k2.feeds.live.orphaned_state import take_over
from k2.feeds.live.plan import FeedPlan
from k2.feeds.live.refill import Refill
from k2.feeds.live.sender import Sender
from k2.feeds.live.spool import Spool
from k2.settings import Settings

log = structlog.get_logger("k2.feeds")

_TICK_SECONDS = 0.1
_LOOK_SECONDS = 1.0
_TAKE_OVER_SECONDS = 5.0


@dataclass
class LiveRun:
    """Runs the feeds of some plans until stopped. ``encoders`` are by exchange.

    ``place`` tells processes on one home apart (:func:`k2.feeds.live.feed_state.feed_place`).
    """

    plans: Sequence[FeedPlan]
    encoders: dict[str, Encoder]
    kafka: str
    settings: Settings
    place: int = 0
    make_producer: Callable[[dict[str, Any]], Any] = Producer
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    jobs: RefillJobs | None = None
    on_tick: Callable[["LiveRun"], None] = lambda _run: None
    feeds: list[LiveFeed] = field(default_factory=list)
    _stop: asyncio.Event | None = None

    async def run(self, seconds: float | None = None) -> None:
        """Run for so long, or until :meth:`stop` or a signal."""
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(
                ValueError, RuntimeError
            ):  # not in the main thread: somebody else stops us
                loop.add_signal_handler(number, self.stop)
        async with httpx.AsyncClient(http2=False, follow_redirects=False) as client:
            with ExitStack() as closing:
                for plan in self.plans:
                    feed = self._feed(plan, client)
                    closing.callback(feed.finish)
                    closing.callback(feed.sender.close)
                    self.feeds.append(feed)
                await self._run_all(seconds)

    def stop(self) -> None:
        """End the run."""
        if self._stop is not None:
            self._stop.set()

    @property
    def failures(self) -> dict[str, str]:
        """Why services ended, by name."""
        return {f.service.name: f.failure.text for f in self.feeds if f.failure is not None}

    def summary(self) -> dict[str, dict[str, object]]:
        """Return what each service received and lacks."""
        return {
            feed.service.name: {
                "trades": feed.metrics.trades,
                **{f"{kind}_messages": count for kind, count in feed.metrics.counts.items()},
                "reconnects": feed.metrics.reconnects,
                "missing": feed.open_trades + feed.final_trades,
                "missing_by_market": count_by_market(feed.numbers),
                "waiting": feed.sender.waiting,
                "failure": feed.failure.text if feed.failure else None,
            }
            for feed in self.feeds
        }

    async def _run_all(self, seconds: float | None) -> None:
        running = [asyncio.ensure_future(feed.run()) for feed in self.feeds]
        ticking = asyncio.ensure_future(self._tick())
        assert self._stop is not None  # noqa: S101 — made by run
        stopping = asyncio.ensure_future(self._stop.wait())
        everything = asyncio.ensure_future(asyncio.wait(running))
        ends: list[asyncio.Future[object]] = [stopping, everything, ticking]  # type: ignore[list-item]
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for feed in self.feeds:
            feed.stop()
        ended = await asyncio.gather(*running, return_exceptions=True)
        everything.cancel()
        stopping.cancel()
        ticking.cancel()
        rest = await asyncio.gather(ticking, stopping, everything, return_exceptions=True)
        for error in (*ended, *rest):
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error

    async def _tick(self) -> None:
        looked = taken_over = 0.0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for feed in self.feeds:
                feed.sender.tick()
            if time.monotonic() - looked >= _LOOK_SECONDS:
                looked = time.monotonic()
                for feed in self.feeds:
                    feed.tick()
                self.on_tick(self)
            if time.monotonic() - taken_over >= _TAKE_OVER_SECONDS:
                taken_over = time.monotonic()
                take_over(self.settings, self.place, self.feeds)

    def _feed(self, plan: FeedPlan, client: httpx.AsyncClient) -> LiveFeed:
        service = plan.service
        exchange = exchange_named(service.exchange)
        spool = Spool(
            self.settings.home / "spool" / placed(service.name, self.place),
            self.settings.feed_spool_bytes,
            self.settings.feed_spool_hours * 3600,
        )
        sender = Sender(self.kafka, spool, make=self.make_producer)
        feed = LiveFeed(
            service=service,
            exchange=exchange,
            markets=plan.markets,
            parse=parser_of(exchange.name),
            encode=self.encoders[exchange.name],
            sender=sender,
            journal=FeedJournal(exchange.name, service.name, sender.send),
            metrics=FeedMetrics.of(
                *(service.name, exchange.name, self.registry),
                beside=self.feeds[0].metrics if self.feeds else None,
            ),
            settings=self.settings,
            place=self.place,
            refill=None,
            url=plan.url,
            jobs=self.jobs,
        )
        sender.on_drop = feed.lost
        if service.history is not None:
            feed.refill = Refill(service.history, plan.history_url, feed.take_again, client)
        return feed

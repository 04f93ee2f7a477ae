"""A live run beside a misbehaving server, with a producer that keeps what it was given."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastavro import schemaless_reader

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.exchanges import EXCHANGES
from k2.exchanges.live_services import LIVE_SERVICES
from k2.feeds.live.feed_state import hold_place
from k2.feeds.live.holes import MarketNumbers
from k2.feeds.live.journal import EVENTS_TOPIC
from k2.feeds.live.plan import FeedPlan
from k2.feeds.live.run import LiveRun
from k2.settings import Settings
from tests.support.exchange_server import ExchangeServer
from tests.support.fake_producer import FakeProducer

MARKETS = {
    "binance-spot": ("BTCUSDT", "ETHUSDT"),
    "kraken": ("BTC/USD", "ETH/USD"),
    "coinbase-exchange": ("BTC-USD", "ETH-USD"),
}
TEXTS = {x.name: schema_text(x.reader_schema) for x in EXCHANGES}


class Running:
    """A live run beside a server, and what it sent."""

    def __init__(self, server: ExchangeServer, home: Path, place: int = 0) -> None:
        self.server = server
        self.service = LIVE_SERVICES[server.service]
        self.producers: list[FakeProducer] = []
        plan = FeedPlan(self.service, server.markets, server.url, server.history_url)
        encoders = {name: encoder(text, 1) for name, text in TEXTS.items()}
        settings = Settings.load(home=home)
        self.is_kafka_up = True
        self._decoded: dict[bytes, dict[str, Any]] = {}
        self.run = LiveRun(
            [plan], encoders, "kafka:9092", settings, place, make_producer=self._make
        )

    async def hold_and_run(self) -> None:
        """Run as a process does, which has its place alone."""
        with hold_place(self.run.settings, self.run.place):
            await self.run.run()

    def _make(self, settings: dict[str, Any]) -> FakeProducer:
        self.producers.append(FakeProducer(settings, self.is_kafka_up))
        return self.producers[-1]

    def messages(self, topic: str) -> list[bytes]:
        """Return the values that Kafka took of a topic."""
        taken = (m for producer in self.producers for m in producer.records)
        return [m.value() for m in taken if m.topic() == topic]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The raw records of trades; each is decoded once, however often it is asked for."""
        schema = json.loads(TEXTS[self.service.exchange])
        topic = f"market.crypto.trades.{self.service.exchange}.raw"
        for value in self.messages(topic):
            if value not in self._decoded:
                decoded = schemaless_reader(io.BytesIO(value[5:]), schema, None)
                self._decoded[value] = decoded  # type: ignore[assignment]
        return [self._decoded[value] for value in self.messages(topic)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened, as it was told."""
        return [json.loads(value) for value in self.messages(EVENTS_TOPIC)]

    def numbers(self, market: str) -> set[int]:
        """All numbers of a market that were sent."""
        return {r["trade_id"] for r in self.records if r["symbol"] == market}

    def gaps(self, market: str) -> set[int]:
        """All numbers of a market that the feed knows to be missing."""
        known = self.run.feeds[0].numbers.get(market, MarketNumbers())
        return {n for hole in known.holes for n in range(hole.first, hole.last + 1)}

    def told(self, market: str) -> tuple[set[int], set[int]]:
        """All numbers of a market that the events leave open, and those that are final."""
        opened: set[int] = set()
        final: set[int] = set()
        for event in self.events:
            if not event["event"].startswith("gap_") or event["markets"] != [market]:
                continue
            numbers = set(range(event["first"], event["last"] + 1))
            opened = opened | numbers if event["event"] == "gap_opened" else opened - numbers
            final = final | numbers if event["event"] == "gap_final" else final - numbers
        return opened, final

    async def all_there(self) -> None:
        """Wait until every trade is sent, or known to be missing for good."""
        await until(lambda: not self.run.feeds[0].open_trades and self._has_newest())

    def _has_newest(self) -> bool:
        return all(
            max(self.server.numbers(market)) in self.numbers(market) | self.gaps(market)
            for market in self.server.markets
        )


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def is_listened_to(server: ExchangeServer) -> bool:
    """Tell whether the newest connection has subscribed to everything."""
    return bool(server.clients) and server.clients[-1].markets == set(server.markets)


@asynccontextmanager
async def running(server: ExchangeServer, home: Path, place: int = 0) -> AsyncIterator[Running]:
    """Run a feed beside a server."""
    feed = Running(server, home, place)
    task = asyncio.ensure_future(feed.hold_and_run())
    try:
        await until(lambda: is_listened_to(server))
        yield feed
    finally:
        feed.run.stop()
        await task


def play(
    service: str, home: Path, scene: Callable[[ExchangeServer, Running], Awaitable[None]]
) -> Running:
    """Run a scene; after it every number since the first is sent, or in a gap."""

    async def all_of_it() -> Running:
        async with ExchangeServer(service, MARKETS[service]) as server:
            async with running(server, home) as feed:
                await server.publish(20)
                await feed.all_there()
                await scene(server, feed)
                await server.publish(10)
                await server.beat()
                await feed.all_there()
            return feed

    feed = asyncio.run(all_of_it())
    for market in feed.server.markets:
        assert feed.numbers(market) | feed.gaps(market) == feed.server.numbers(market)
        assert not feed.numbers(market) & feed.gaps(market)
        assert feed.told(market) == (set(), feed.gaps(market)), "the events say something else"
    return feed

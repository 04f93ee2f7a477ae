"""Connections at their worst: dead, mute, flooding, rubbish; and exchanges that refuse or ban."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from k2.feeds.live import connection
from tests.support.exchange_server import ExchangeServer
from tests.unit.feeds.live.running_feed import (
    Running,
    is_listened_to,
    play,
    running,
    until,
)

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("short_pauses")]


def kinds(feed: Running) -> list[str]:
    return [event["kind"] for event in feed.events if event["event"] == "disconnected"]


def said(feed: Running, event: str) -> list[dict[str, Any]]:
    return [each for each in feed.events if each["event"] == event]


async def reconnected(server: ExchangeServer) -> None:
    await until(lambda: server.connections > 1 and is_listened_to(server))


def test_a_half_open_connection_is_noticed_by_a_ping_without_a_pong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_SECONDS", 0.5)

    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.stall()
        await server.publish(10)
        await reconnected(server)

    feed = play("binance-spot", tmp_path, scene)

    assert kinds(feed)[0] == "timeout"
    assert all(feed.gaps(market) == set() for market in feed.server.markets)


def test_an_oversized_message_ends_the_connection_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_MESSAGE_BYTES", 50_000)

    async def scene(server: ExchangeServer, feed: Running) -> None:
        await server.say("[" + "1," * 100_000 + "1]")
        await reconnected(server)

    feed = play("kraken", tmp_path, scene)

    assert kinds(feed)[0] == "oversized"


RUBBISH: tuple[str | bytes, ...] = (
    *(b"\x00\xff\xfe\x01", b"", "", "nonsense", "[[[[", '"text"', "1e999", "\ud7ff{"),
    *('{"channel":"trade"}', '{"channel":"trade","type":"update","data":[{}]}'),
)


def test_rubbish_is_rejected_and_the_connection_goes_on(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        for rubbish in RUBBISH:
            await server.say(rubbish)
        await server.publish(4)
        await feed.all_there()

    feed = play("kraken", tmp_path, scene)

    assert feed.server.connections == 1
    rejected = feed.messages("market.crypto.feed.kraken.rejected")
    assert b"nonsense" in rejected
    assert b"\x00\xff\xfe\x01" in rejected


# A connection that comes while the server goes is nobody's: it is left to the collector.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_an_exchange_that_restarts_again_and_again_loses_nothing(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        for _ in range(4):
            await server.stop()
            for market in server.markets:
                server.make(market)
            await server.start()
            await until(lambda: is_listened_to(server))
            await server.publish(10)

    feed = play("coinbase-exchange", tmp_path, scene)

    assert all(feed.gaps(market) == set() for market in feed.server.markets)
    assert len(said(feed, "connected")) >= 5
    assert len(said(feed, "subscribe")) == 1
    assert len(said(feed, "resubscribe")) >= 4


def test_a_flood_is_taken_whole_and_pings_are_answered_meanwhile(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        flooding = asyncio.ensure_future(server.publish(4_000))
        while not flooding.done():
            await server.ping(10.0)
            await asyncio.sleep(0.1)
        await flooding

    feed = play("binance-spot", tmp_path, scene)

    assert len(feed.records) == sum(len(trades) for trades in feed.server.history.values())
    assert feed.server.connections == 1


def test_pings_are_answered_while_kafka_takes_nothing(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        feed.producers[0].is_up = False
        await server.publish(500)
        await server.ping(5.0)
        feed.producers[0].is_up = True

    feed = play("binance-spot", tmp_path, scene)

    assert feed.server.connections == 1
    assert len(feed.records) == sum(len(trades) for trades in feed.server.history.values())


def test_a_subscription_that_nobody_answers_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)

    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.is_deaf = True
        await server.drop(1012)
        await until(lambda: "protocol" in kinds(feed))
        server.is_deaf = False
        await reconnected(server)

    feed = play("kraken", tmp_path, scene)

    assert "was not answered" in str(said(feed, "disconnected"))


def test_a_market_that_is_delisted_takes_no_other_with_it(tmp_path: Path) -> None:
    async def delisted() -> Running:
        async with ExchangeServer("coinbase-exchange", ("BTC-USD", "ETH-USD")) as server:
            feed = Running(server, tmp_path)
            server.markets = ("ETH-USD",)
            task = asyncio.ensure_future(feed.run.run())
            await until(lambda: is_listened_to(server))
            await server.publish(10)
            await until(lambda: len(feed.numbers("ETH-USD")) == 10)
            feed.run.stop()
            await task
            return feed

    feed = asyncio.run(delisted())

    assert "BTC-USD" in feed.run.failures["coinbase-exchange"]
    assert feed.server.connections == 1


def test_a_service_whose_only_market_is_refused_ends_by_name(tmp_path: Path) -> None:
    async def refused() -> Running:
        async with ExchangeServer("kraken", ("BTC/USD",)) as server:
            feed = Running(server, tmp_path)
            server.markets = ()
            await asyncio.wait_for(feed.run.run(), 20)
            return feed

    feed = asyncio.run(refused())

    assert "BTC/USD" in feed.run.failures["kraken"]
    assert said(feed, "feed_failed")


@pytest.mark.parametrize("status", [418, 503])
def test_an_exchange_that_bans_or_is_down_is_asked_again_after_what_it_says(
    status: int, tmp_path: Path
) -> None:
    async def banned() -> tuple[Running, float]:
        async with ExchangeServer("binance-spot", ("BTCUSDT",), refuse_status=status) as server:
            loop = asyncio.get_running_loop()
            began = loop.time()
            feed = Running(server, tmp_path)
            task = asyncio.ensure_future(feed.run.run())
            await until(lambda: bool(feed.run.feeds) and feed.run.feeds[0].metrics.reconnects > 0)
            server.refuse_status = None
            await until(lambda: is_listened_to(server))
            waited = loop.time() - began
            feed.run.stop()
            await task
            return feed, waited

    feed, waited = asyncio.run(banned())

    assert waited >= 1.0  # Retry-After
    assert feed.run.failures == {}
    assert said(feed, "waiting")[0]["seconds"] >= 1.0


def test_a_slow_history_holds_up_no_trade(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.rest_seconds = 3.0
        server.lose = 1.0
        await server.publish(4)
        server.lose = 0.0
        await server.publish(2)
        await until(lambda: server.rest_requests > 0)
        before = len(feed.records)
        await server.publish(20)
        await until(lambda: len(feed.records) >= before + 20, 2.5)
        server.rest_seconds = 0.0

    feed = play("binance-spot", tmp_path, scene)

    assert all(feed.gaps(market) == set() for market in feed.server.markets)


def test_an_empty_history_makes_a_gap_final_and_says_so(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.rest_is_empty = True
        server.lose = 1.0
        await server.publish(4)
        server.lose = 0.0

    feed = play("coinbase-exchange", tmp_path, scene)

    opened, final = said(feed, "gap_opened"), said(feed, "gap_final")
    assert {e["markets"][0] for e in opened} == {e["markets"][0] for e in final}
    assert all(event["after_us"] > 0 for event in opened)


def test_one_exchange_in_trouble_touches_no_other(tmp_path: Path) -> None:
    async def both() -> tuple[Running, ExchangeServer]:
        async with (
            ExchangeServer("binance-spot", ("BTCUSDT",)) as good,
            ExchangeServer("kraken", ("BTC/USD",), refuse_status=403) as bad,
        ):
            feed = Running(good, tmp_path)
            feed.run.plans = [*feed.run.plans, *Running(bad, tmp_path).run.plans]
            task = asyncio.ensure_future(feed.run.run())
            await until(lambda: "kraken" in feed.run.failures and is_listened_to(good))
            await good.publish(50)
            await until(lambda: len(feed.numbers("BTCUSDT")) == 50)
            feed.run.stop()
            await task
            return feed, good

    feed, _ = asyncio.run(both())

    assert list(feed.run.failures) == ["kraken"]


def test_late_trades_are_an_event_and_so_is_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("k2.feeds.live.feed._SNAPSHOT_US", 0)

    async def scene(server: ExchangeServer, feed: Running) -> None:
        await server.publish(64)  # whose time is long ago
        await until(lambda: bool(said(feed, "lag")))

    feed = play("binance-spot", tmp_path, scene)

    assert said(feed, "lag")[0]["seconds"] > 5


def test_a_feed_says_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    async def short() -> Running:
        async with ExchangeServer("kraken", ("BTC/USD",)) as server:
            async with running(server, tmp_path) as feed:
                pass
            return feed

    feed = asyncio.run(short())

    assert [e["markets"] for e in said(feed, "started")] == [["BTC/USD"]]
    assert feed.events[-1]["event"] == "stopped"

"""A live feed beside a server that misbehaves: what it sent and its gaps are what there was."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from k2.exchanges.live_services import LIVE_SERVICES
from k2.feeds.live import run, spool
from tests.support.exchange_server import ExchangeServer
from tests.unit.feeds.live.running_feed import (
    MARKETS,
    Running,
    is_listened_to,
    play,
    running,
    until,
)

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("short_pauses")]

SERVICES = sorted(MARKETS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_quiet_day_sends_every_trade_once(service: str, tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        await server.publish(300)

    feed = play(service, tmp_path, scene)

    assert len(feed.records) == sum(len(trades) for trades in feed.server.history.values())
    assert feed.server.rest_requests == 0


@pytest.mark.parametrize("service", SERVICES)
def test_lost_messages_are_fetched_from_the_history(service: str, tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.lose = 0.3
        await server.publish(200)
        server.lose = 0.0

    feed = play(service, tmp_path, scene)

    assert all(feed.gaps(market) == set() for market in feed.server.markets)
    assert feed.server.rest_requests > 0


# All that an end may say of itself (RFC 6455, 7.4), and 1006: it says nothing.
CODES = (1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999)


def test_a_connection_that_ends_leaves_no_hole_whatever_it_says(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        for code in CODES:
            before = server.connections
            await server.drop(code)
            for market in server.markets:  # while nobody listens
                server.make(market)
            await until(lambda before=before: server.connections > before and is_listened_to(server))  # type: ignore[misc]

    feed = play("binance-spot", tmp_path, scene)

    assert all(feed.gaps(market) == set() for market in feed.server.markets)
    ends = [event for event in feed.events if event["event"] == "disconnected"]
    assert len(ends) == len(CODES) + 1  # and the last, by K2


@pytest.mark.parametrize("service", SERVICES)
def test_repeated_reordered_split_and_binary_messages_change_nothing(
    service: str, tmp_path: Path
) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.repeat, server.reorder, server.as_binary, server.split = 0.2, 0.2, 0.3, 0.3
        await server.publish(300)
        server.reorder = 0.0
        await server.publish(4)

    feed = play(service, tmp_path, scene)

    assert all(feed.gaps(market) == set() for market in feed.server.markets)


def test_malformed_messages_go_to_the_rejected_topic(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.malform = 0.5
        await server.publish(50)

    feed = play("kraken", tmp_path, scene)

    assert len(feed.messages("market.crypto.feed.kraken.rejected")) > 5


def test_what_the_history_no_longer_has_stays_a_gap_with_its_reason(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.lose = 1.0
        await server.publish(10)
        server.lose = 0.0
        server.forgotten = dict.fromkeys(server.markets, 1_020)

    feed = play("binance-spot", tmp_path, scene)

    reasons = {event["reason"] for event in feed.events if event["event"] == "gap_final"}
    assert reasons == {"the exchange's history does not have it"}
    assert any(feed.gaps(market) for market in feed.server.markets)


@pytest.mark.parametrize(
    "trouble",
    [
        *({"rest_status": 429}, {"rest_status": 418}, {"rest_status": 503}),
        {"rest_text": '[{"id":1012,"price":{}}]'},
    ],
    ids=str,
)
def test_a_history_in_trouble_is_asked_again(trouble: dict[str, Any], tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        for name, value in trouble.items():
            setattr(server, name, value)
        server.lose = 1.0
        await server.publish(10)
        server.lose = 0.0
        await server.publish(2)
        await until(lambda: server.rest_requests > 0)
        server.rest_status, server.rest_text = None, None

    feed = play("binance-spot", tmp_path, scene)

    assert all(feed.gaps(market) == set() for market in feed.server.markets)


def test_an_announced_shutdown_is_overlapped_and_needs_no_history(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        await server.announce_shutdown()
        await until(lambda: len(server.clients) == 2 and is_listened_to(server))
        await server.publish(20)  # to both
        await until(lambda: len(server.clients) == 1)

    feed = play("binance-spot", tmp_path, scene)

    assert feed.server.rest_requests == 0
    assert "planned" in [event.get("kind") for event in feed.events]


def test_a_half_open_connection_is_noticed_by_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIVE_SERVICES["kraken"].__dict__, "silence_seconds", 1.0)

    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.stall()
        await server.publish(10)
        await until(lambda: server.connections > 1 and is_listened_to(server))

    feed = play("kraken", tmp_path, scene)

    assert "silent" in [event.get("kind") for event in feed.events]


def test_a_start_after_a_stop_fills_what_came_between(tmp_path: Path) -> None:
    async def both() -> Running:
        async with ExchangeServer("binance-spot", ("BTCUSDT",)) as server:
            async with running(server, tmp_path) as first:
                await server.publish(10)
                await first.all_there()
            await server.publish(10)  # nobody listens
            async with running(server, tmp_path) as second:
                await server.publish(10)
                await second.all_there()
            second.producers += first.producers
            return second

    feed = asyncio.run(both())

    assert feed.numbers("BTCUSDT") == feed.server.numbers("BTCUSDT")


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refusal_ends_the_service_by_name(status: int, tmp_path: Path) -> None:
    async def refused() -> dict[str, str]:
        async with ExchangeServer("kraken", ("BTC/USD",), refuse_status=status) as server:
            feed = Running(server, tmp_path)
            await asyncio.wait_for(feed.run.run(), 10)
            return feed.run.failures

    assert str(status) in asyncio.run(refused())["kraken"]


def test_an_unknown_market_is_named(tmp_path: Path) -> None:
    async def unknown() -> dict[str, str]:
        async with ExchangeServer("kraken", ("BTC/USD", "ETH/USD")) as server:
            feed = Running(server, tmp_path)
            server.markets = ("ETH/USD",)
            task = asyncio.ensure_future(feed.run.run())
            await until(lambda: bool(feed.run.failures))
            feed.run.stop()
            await task
            return feed.run.failures

    assert "BTC/USD" in asyncio.run(unknown())["kraken"]


def test_kafka_away_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        producer = feed.producers[0]
        producer.is_up = False
        await server.publish(100)
        sender = feed.run.feeds[0].sender
        await until(lambda: sender.is_spooling)
        await server.publish(100)
        await until(lambda: sender.spooled > 0)
        producer.is_up = True

    feed = play("binance-spot", tmp_path, scene)

    assert len(feed.records) == sum(len(trades) for trades in feed.server.history.values())
    assert feed.server.rest_requests == 0


def test_a_process_takes_over_what_an_ended_one_could_not_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_TAKE_OVER_SECONDS", 0.2)

    async def both() -> Running:
        async with ExchangeServer("binance-spot", ("BTCUSDT",)) as server:
            async with running(server, tmp_path, place=1) as first:
                await server.publish(10)
                await first.all_there()
                first.producers[0].is_up = False
                await server.publish(10)
                async with running(server, tmp_path, place=0) as second:
                    await server.publish(10)
                    first.run.stop()
                    second.producers += first.producers
                    await second.all_there()
                    await until(lambda: second.numbers("BTCUSDT") == server.numbers("BTCUSDT"))
            return second

    second = asyncio.run(both())

    assert second.server.rest_requests == 0
    assert second.numbers("BTCUSDT") == second.server.numbers("BTCUSDT")


def test_a_rolling_restart_leaves_no_gap(tmp_path: Path) -> None:
    async def rolled() -> tuple[Running, Running]:
        async with ExchangeServer("binance-spot", ("BTCUSDT",)) as server:
            async with running(server, tmp_path, place=0) as first:
                await server.publish(20)
                await first.all_there()
                await asyncio.sleep(1.2)  # its numbers are on disk now
                publishing = asyncio.ensure_future(server.publish(200, rate=100))
                async with running(server, tmp_path, place=1) as second:
                    await until(lambda: len(second.records) > 20)
                    first.run.stop()
                    await publishing
                    await second.all_there()
            return first, second

    first, second = asyncio.run(rolled())

    numbers = first.numbers("BTCUSDT") | second.numbers("BTCUSDT")
    assert numbers == first.server.numbers("BTCUSDT")
    assert second.gaps("BTCUSDT") == set()
    assert first.numbers("BTCUSDT") & second.numbers("BTCUSDT"), "they did not overlap"


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_full_spool_drops_is_fetched_from_the_history(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 2_000)

    async def scene(server: ExchangeServer, feed: Running) -> None:
        sender = feed.run.feeds[0].sender
        sender.spool.max_bytes = 4_000
        feed.producers[0].is_up = False
        await server.publish(10)
        await until(lambda: sender.is_spooling)
        for _ in range(10):
            await server.publish(20)
            await asyncio.sleep(0.15)
        await until(lambda: feed.run.feeds[0].metrics.spool_dropped > 0)
        feed.producers[0].is_up = True
        sender.spool.max_bytes = 1 << 30
        await until(lambda: sender.waiting == 0)

    feed = play(service, tmp_path, scene)

    assert feed.server.rest_requests > 0
    assert all(feed.gaps(market) == set() for market in feed.server.markets)
    assert "the spool was full" in {e["reason"] for e in feed.events if e["event"] == "gap_opened"}

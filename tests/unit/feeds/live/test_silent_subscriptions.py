"""Subscriptions that are acknowledged and bring nothing, beside markets that are only quiet."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from k2.exchanges.live_services import LIVE_SERVICES
from k2.feeds.live import gap_filler, session, silent_subscriptions
from tests.support.exchange_server import ExchangeServer
from tests.unit.feeds.live.running_feed import (
    MARKETS,
    Running,
    is_listened_to,
    until,
)

pytestmark = pytest.mark.unit

QUIET_SECONDS = 0.4
SERVICES = sorted(MARKETS)


@pytest.fixture(autouse=True)
def _soon(short_pauses: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_filler, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(session, "_OVERLAP_SECONDS", 0.5)
    monkeypatch.setattr(silent_subscriptions, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(silent_subscriptions, "GRACE_SECONDS", 0.1)
    monkeypatch.setenv("K2_FEED_QUIET_SECONDS", str(QUIET_SECONDS))
    for name in SERVICES:
        service = LIVE_SERVICES[name]
        assert service.history is not None
        history = replace(service.history, seconds=0.02)
        monkeypatch.setitem(LIVE_SERVICES, name, replace(service, history=history))


def silences(feed: Running) -> list[dict[str, Any]]:
    return [event for event in feed.events if event["event"] == "silent"]


def counted(feed: Running) -> float | None:
    return feed.run.registry.get_sample_value(
        "k2_feed_silent_subscriptions_total",
        {
            **{"stream": f"feed-{feed.service.name}", "exchange": feed.service.exchange},
            "layer": "feed",
        },
    )


Scene = Callable[[ExchangeServer, Running], Coroutine[Any, Any, None]]


def play(service: str, home: Path, scene: Scene, unserved: bool = True) -> Running:
    """Run a feed whose second market is not served from the start on; the first has trades always."""

    async def all_of_it() -> Running:
        async with ExchangeServer(service, MARKETS[service]) as server:
            for market in server.markets:
                server.make(market)
            server.unserved = {server.markets[1]} if unserved else set()
            feed = Running(server, home)
            running = asyncio.ensure_future(feed.hold_and_run())
            await until(lambda: is_listened_to(server))
            await scene(server, feed)
            feed.run.stop()
            await running
            return feed

    return asyncio.run(all_of_it())


async def trade_on(server: ExchangeServer, is_over: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_over():
            await server.publish(2)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("service", SERVICES)
def test_a_subscription_that_is_acknowledged_and_silent_is_made_again(
    service: str, tmp_path: Path
) -> None:
    dead = MARKETS[service][1]

    async def scene(server: ExchangeServer, feed: Running) -> None:
        server.unserved = set()  # on the next connection, not on this one
        await trade_on(server, lambda: bool(silences(feed)))
        await until(lambda: server.connections > 1 and is_listened_to(server))
        await until(lambda: len(server.clients) == 1)
        begun = server.make(dead).number
        await trade_on(server, lambda: begun + 5 in feed.numbers(dead))
        await until(lambda: not feed.run.feeds[0].open_trades)

    feed = play(service, tmp_path, scene)

    assert [event["markets"] for event in silences(feed)] == [[dead]]
    assert counted(feed) == 1
    numbers = feed.numbers(dead)
    assert numbers == {n for n in feed.server.numbers(dead) if n >= min(numbers)}
    assert feed.gaps(dead) == set()


def test_what_a_silent_subscription_does_not_bring_comes_from_the_history(tmp_path: Path) -> None:
    dead = "ETHUSDT"

    async def scene(server: ExchangeServer, feed: Running) -> None:
        await trade_on(server, lambda: len(feed.numbers(dead)) > 30)

    feed = play("binance-spot", tmp_path, scene)

    numbers = sorted(feed.numbers(dead))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_market_that_stays_silent_is_given_new_connections_ever_more_seldom(
    tmp_path: Path,
) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        await trade_on(server, lambda: len(silences(feed)) == 4)

    feed = play("binance-spot", tmp_path, scene)

    times = [event["time_us"] / 1e6 for event in silences(feed)]
    pauses = [after - before for before, after in pairwise(times)]
    assert all(pause >= QUIET_SECONDS * 2**n for n, pause in enumerate(pauses))


@pytest.mark.parametrize("service", SERVICES)
def test_a_quiet_market_is_left_alone(service: str, tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        await until(lambda: server.rest_requests >= 6)  # three questions about each market

    feed = play(service, tmp_path, scene, unserved=False)

    assert silences(feed) == []
    assert feed.server.connections == 1


def test_what_was_lost_before_a_market_went_quiet_is_found(tmp_path: Path) -> None:
    quiet = "ETHUSDT"

    async def scene(server: ExchangeServer, feed: Running) -> None:
        await server.publish(4)
        await until(lambda: len(feed.numbers(quiet)) == 2)
        lost = [server.make(quiet).number for _ in range(3)]
        await until(lambda: feed.numbers(quiet).issuperset(lost))

    feed = play("binance-spot", tmp_path, scene, unserved=False)

    assert silences(feed) == []


@pytest.mark.parametrize("wrong", ["rest_is_wrong", "rest_is_empty", "rest_status"])
def test_a_history_that_gives_no_answer_changes_nothing(wrong: str, tmp_path: Path) -> None:
    async def scene(server: ExchangeServer, feed: Running) -> None:
        setattr(server, wrong, 503 if wrong == "rest_status" else True)
        await until(lambda: server.rest_requests >= 6)

    feed = play("kraken", tmp_path, scene, unserved=False)

    assert silences(feed) == []
    assert feed.server.connections == 1


def test_a_market_is_never_asked_about_where_the_setting_is_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K2_FEED_QUIET_SECONDS", "0")

    async def scene(server: ExchangeServer, feed: Running) -> None:
        await asyncio.sleep(3 * QUIET_SECONDS)

    feed = play("kraken", tmp_path, scene)

    assert feed.server.rest_requests == 0

"""A bad minute, and a bad hour in minutes, of three exchanges: Gold and the gaps are what they sent."""

import asyncio
import json
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from deltalake import DeltaTable

from tests.support.exchange_server import ExchangeServer
from tests.support.home import K2Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

MARKETS = {
    "binance-spot": ("BTCUSDT", "ETHUSDT"),
    "kraken": ("BTC/USD", "ETH/USD"),
    "coinbase-exchange": ("BTC-USD", "ETH-USD"),
}
SYMBOLS = {"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT"}
MINUTE, HOUR = 6_000, 24_000  # trades of each exchange; something goes wrong every 225th
MAX_GROWTH = 1.25  # of a process's memory, from the first half of its time to the second


@pytest.fixture
def home(tmp_path: Path) -> K2Home:
    return K2Home(tmp_path / "home", K2_FEED_METRICS_PORT="0")


def write_config(home: K2Home, servers: list[ExchangeServer]) -> Path:
    lines = []
    for server in servers:
        lines += [f"[services.{server.service}]", f"markets = {json.dumps(server.markets)}"]
        lines += [f'url = "{server.url}"', f'history_url = "{server.history_url}"']
    file = home.folder / "feeds.toml"
    file.write_text("\n".join(lines))
    return file


async def misbehave(server: ExchangeServer, chance: random.Random, trades: int) -> None:
    """Send everything, and do something wrong ever so often."""
    sent = 0
    while sent < trades:
        count = chance.randrange(50, 400)
        await server.publish(count, rate=400)
        sent += count
        wrong = chance.choice(["lose", "reorder", "repeat", "malform", "close", "rest", "restart"])
        server.lose = server.reorder = server.repeat = server.malform = 0.0
        server.rest_status = None
        if wrong == "close":
            await server.drop(chance.choice([1000, 1001, 1006, 1008, 1011, 1012, 1013]))
        elif wrong == "rest":
            server.rest_status, server.lose = chance.choice([429, 503]), 0.2
        elif wrong == "restart":
            await server.stop()
            await asyncio.sleep(chance.random())
            await server.start()
        else:
            setattr(server, wrong, 0.1)
    server.lose = server.reorder = server.repeat = server.malform = 0.0
    server.rest_status = None
    await server.beat()
    while not all(c.markets for c in server.clients) or not server.clients:
        await asyncio.sleep(0.1)
    await server.publish(20)
    await server.beat()


async def whole_again(home: K2Home, servers: list[ExchangeServer]) -> dict[str, Any]:
    """Wait until every feed has the newest trade and no open hole; return the states."""
    while True:
        states: dict[str, Any] = {}
        for file in (home.folder / "run" / "feeds").glob("*.json"):
            for market, state in json.loads(file.read_text()).items():
                # What one process lacks it lacks for all, until it has asked for it: an ended one's holes are
                # with the other, whichever of them has the newest trade.
                known = states.setdefault(market, {"newest": 0, "holes": []})
                known["newest"] = max(known["newest"], state["newest"] or 0)
                known["holes"] += state["holes"]
        newest = {m: t[-1].number for server in servers for m, t in server.history.items()}
        is_there = all((states.get(m) or {}).get("newest") == last for m, last in newest.items())
        is_open = any(h["state"] == "open" for s in states.values() for h in s["holes"])
        if is_there and not is_open:
            return states
        await asyncio.sleep(0.5)


async def bad_time(home: K2Home, trades: int) -> tuple[list[ExchangeServer], dict[str, Any], float]:
    servers = [ExchangeServer(name, markets, seed=11) for name, markets in MARKETS.items()]
    for server in servers:
        await server.start()
    config = write_config(home, servers)
    first = home.start("feed", "run", "--config", config)
    while not all(server.clients for server in servers):
        assert first.poll() is None, home.output.read_text()
        await asyncio.sleep(0.1)
    playing = [
        asyncio.ensure_future(misbehave(server, random.Random(place), trades))
        for place, server in enumerate(servers)
    ]
    await asyncio.sleep(5)
    home.record("kafka").send_signal(signal.SIGKILL)  # `k2 up` starts it again
    await asyncio.sleep(10)
    second = await started(home, config, place=1)  # a rolling restart
    await asyncio.sleep(10)
    memory = asyncio.ensure_future(measure_memory(second.pid))
    await asyncio.to_thread(_end, first)
    await asyncio.gather(*playing)
    states = await asyncio.wait_for(whole_again(home, servers), 240)
    memory.cancel()
    await asyncio.to_thread(_end, second)
    for server in servers:
        await server.stop()
    return servers, states, growth_of(await memory)


async def started(home: K2Home, config: Path, place: int) -> "subprocess.Popen[bytes]":
    """Start a process beside another, again while it finds Kafka away, until it listens."""
    while True:
        process = home.start("feed", "run", "--config", config)
        while process.poll() is None:
            if (home.folder / "spool" / f"kraken.{place}").is_dir():
                return process
            await asyncio.sleep(0.1)
        assert process.returncode == 3, home.output.read_text()


async def measure_memory(pid: int) -> list[int]:
    """Note a process's memory every half second until cancelled."""
    found: list[int] = []
    with suppress(asyncio.CancelledError, psutil.NoSuchProcess):
        while True:
            found.append(psutil.Process(pid).memory_info().rss)
            await asyncio.sleep(0.5)
    return found


def growth_of(memory: list[int]) -> float:
    middle = len(memory) // 2
    return max(memory[middle:]) / max(memory[:middle])


def open_and_final(home: K2Home) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """What the table of sessions says is missing, by the exchange's name of the market."""
    stored = DeltaTable(str(home.folder / "lake" / "ops_feed_sessions")).to_pyarrow_table()
    opened: dict[str, set[int]] = {}
    final: dict[str, set[int]] = {}
    for row in stored.sort_by([("at", "ascending"), ("offset", "ascending")]).to_pylist():
        if row["first_id"] is None:
            continue
        numbers = set(range(row["first_id"], row["last_id"] + 1))
        gap = opened.setdefault(row["exchange_symbol"], set())
        if row["event"] == "gap_opened":
            gap |= numbers
        elif row["event"] in ("gap_closed", "gap_final"):
            gap -= numbers
        if row["event"] == "gap_final":
            final.setdefault(row["exchange_symbol"], set()).update(numbers)
    return opened, final


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


@pytest.mark.parametrize("trades", [MINUTE, HOUR], ids=["a minute", "an hour in minutes"])
def test_gold_and_the_recorded_gaps_are_what_the_exchanges_sent(home: K2Home, trades: int) -> None:
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    try:
        servers, states, growth = asyncio.run(bad_time(home, trades))
        home.run("drain")
        gold = DeltaTable(str(home.folder / "lake" / "gold_trades")).to_pyarrow_table(
            columns=["symbol", "exchange", "trade_id"]
        )
        opened, final = open_and_final(home)
        home.run("balance")
    finally:
        home.run("down")
        home.kill_all()

    rows = list(zip(*(gold[name].to_pylist() for name in gold.column_names), strict=True))
    assert len(rows) == len(set(rows)), "a trade is in Gold twice"
    for server in servers:
        for market, trades in server.history.items():
            symbol = SYMBOLS.get(market, market.replace("/", "-"))
            exchange = server.service.partition("-")[0]
            found = {int(n) for s, e, n in rows if (s, e) == (symbol, exchange)}
            holes = states[market]["holes"]
            gaps = {n for hole in holes for n in range(hole["first"], hole["last"] + 1)}
            first = min(found)
            missing = sorted({t.number for t in trades if t.number >= first} - found - gaps)
            assert (
                not missing
            ), f"{market}: {missing} of {first} to {trades[-1].number}, newest found {max(found)}"
            assert not gaps, "the history had everything"
            assert opened.get(market, set()) == set(), "the table says that trades are missing"
            assert final.get(market, set()) == set(), market
    assert growth < MAX_GROWTH

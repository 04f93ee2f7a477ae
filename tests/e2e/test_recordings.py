"""The scripted way through: recorded messages into Kafka, and every trade in Gold, once, exact."""

import pytest

from tests.checker.bars import check_bars
from tests.checker.compare import compare
from tests.checker.expected import expected_trades
from tests.checker.sent import sent_of
from tests.support.home import K2Home
from tests.support.recordings import richest_files, trades_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

RECORDINGS = {
    "binance": [*richest_files("binance/spot-*"), *richest_files("binance/usdm*")],
    "kraken": richest_files("kraken/v*"),
    "coinbase": richest_files("coinbase/exchange-*"),
}
TRADES = {exchange: sum(map(trades_in, files)) for exchange, files in RECORDINGS.items()}


@pytest.mark.parametrize(
    "streams", [pytest.param("--streams", marks=pytest.mark.slow), "--no-streams"]
)
def test_recorded_trades_reach_gold_once_and_exact_however_often_they_are_replayed(
    home: K2Home, streams: str
) -> None:
    expected = expected_trades([file for files in RECORDINGS.values() for file in files])
    assert len(expected) == sum(TRADES.values())

    home.run("up", "--feed", "none", "--detach", streams)
    counts = replay(home)
    drained = home.json("drain")

    assert counts == TRADES
    assert drained["drained"] is True
    assert set(drained["backlog"].values()) == {0}
    rows = rows_by_step(home)
    assert list(rows) == ["bronze", "silver", "gold", "ohlcv", "backlog"]
    # Streams that run already may have taken some before the drain began.
    assert rows["gold"] == len(expected) or streams == "--streams"
    assert home.rows("gold_trades") == len(expected)
    assert compare(home.folder, expected) == []
    assert check_bars(home.folder, map(sent_of, expected.values())) == []
    assert_balanced(home, duplicates=0)

    replay(home)
    home.run("drain")

    assert home.rows("gold_trades") == len(expected)
    assert compare(home.folder, expected) == []
    assert check_bars(home.folder, map(sent_of, expected.values())) == []
    assert_balanced(home, duplicates=len(expected))

    home.run("down")

    home.require_nothing_left()
    assert home.json("balance", "--tables-only")["balanced"] is True


def rows_by_step(home: K2Home) -> dict[str, int]:
    """What each step of the newest `k2 drain` took."""
    newest = home.json("jobs", "list", "--kind", "drain")[0]["id"]
    events = [event["data"] for event in home.json("jobs", "logs", newest)]
    told = [(event["step"], event["rows_done"]) for event in events if "step" in event]
    before = [0, *(rows for _, rows in told)]
    return {step: rows - was for (step, rows), was in zip(told, before, strict=False)}


def replay(home: K2Home) -> dict[str, int]:
    counts = {}
    for exchange, files in RECORDINGS.items():
        answer = home.json("replay", *files, "--exchange", exchange)
        counts[exchange] = sum(file["trades"] for file in answer["files"])
    return counts


def assert_balanced(home: K2Home, duplicates: int) -> None:
    balance = home.json("balance")
    assert balance["balanced"] is True
    assert balance["kafka_asked"] is True
    exchanges = {one["exchange"]: one for one in balance["exchanges"]}
    assert {name: one["gold"] for name, one in exchanges.items() if one["kafka"]} == TRADES
    assert sum(one["duplicates"] for one in exchanges.values()) == duplicates
    assert sum(one["dead_letters"] for one in exchanges.values()) == 0

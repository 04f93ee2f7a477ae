"""The scripted way through: recorded messages into Kafka, and every trade in Gold, once, exact."""

from pathlib import Path

import pytest

from tests.checker.bars import check_bars
from tests.checker.compare import compare
from tests.checker.expected import expected_trades
from tests.checker.sent import sent_of
from tests.support.home import K2Home

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

TRADES = {"binance": 1_163 + 10_147, "kraken": 17 + 10, "coinbase": 437}


@pytest.fixture
def recordings(shared_data: Path) -> dict[str, list[Path]]:
    return {
        "binance": sorted((shared_data / "binance").glob("spot-*")),
        "kraken": sorted((shared_data / "kraken").glob("v*")),
        "coinbase": sorted((shared_data / "coinbase").glob("exchange-*")),
    }


@pytest.mark.parametrize(
    "streams", [pytest.param("--streams", marks=pytest.mark.slow), "--no-streams"]
)
def test_recorded_trades_reach_gold_once_and_exact_however_often_they_are_replayed(
    home: K2Home, recordings: dict[str, list[Path]], streams: str
) -> None:
    expected = expected_trades([file for files in recordings.values() for file in files])
    assert len(expected) == sum(TRADES.values())

    home.run("up", "--feed", "none", "--detach", streams)
    counts = replay(home, recordings)
    drained = home.json("drain")

    assert counts == TRADES
    assert drained["drained"] is True
    assert set(drained["backlog"].values()) == {0}
    assert home.rows("gold_trades") == len(expected)
    assert compare(home.folder, expected) == []
    assert check_bars(home.folder, map(sent_of, expected.values())) == []
    assert_balanced(home, duplicates=0)

    replay(home, recordings)
    home.run("drain")

    assert home.rows("gold_trades") == len(expected)
    assert compare(home.folder, expected) == []
    assert check_bars(home.folder, map(sent_of, expected.values())) == []
    assert_balanced(home, duplicates=len(expected))

    home.run("down")

    home.require_nothing_left()
    assert home.json("balance", "--tables-only")["balanced"] is True


def replay(home: K2Home, recordings: dict[str, list[Path]]) -> dict[str, int]:
    counts = {}
    for exchange, files in recordings.items():
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

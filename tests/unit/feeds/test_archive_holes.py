"""Numbers that a recording skips are found, and no others."""

from typing import Any

import pytest

from k2.exchanges import exchange_named
from k2.feeds import archive_holes
from k2.feeds.archive_holes import ArchiveHoles

pytestmark = pytest.mark.unit


def skipped(*records: dict[str, Any], exchange: str = "binance") -> list[tuple[str, str, int, int]]:
    holes = ArchiveHoles(exchange_named(exchange))
    for record in records:
        holes.take(record)
    return [(f.service.name, f.market, f.first, f.last) for f in holes.found()]


def spot(number: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {"symbol": symbol, "market": "spot", "trade_id": number}


def test_numbers_that_are_skipped_are_a_hole_of_their_market() -> None:
    trades = (spot(1), spot(7, "ETHUSDT"), spot(2), spot(5), spot(8, "ETHUSDT"))

    assert skipped(*trades) == [("binance-spot", "BTCUSDT", 3, 4)]


def test_what_comes_later_in_the_recording_is_no_hole() -> None:
    assert skipped(spot(1), spot(5), spot(3), spot(2)) == [("binance-spot", "BTCUSDT", 4, 4)]
    assert skipped(spot(1), spot(3), spot(2)) == []


def test_what_was_before_the_first_trade_or_came_twice_is_no_hole() -> None:
    assert skipped(spot(900), spot(900), spot(901)) == []


def test_an_aggregate_covers_its_fills() -> None:
    fills = {"symbol": "BTCUSDT", "market": "spot", "trade_id": None}
    one = fills | {"first_trade_id": 1, "last_trade_id": 4}
    two = fills | {"first_trade_id": 7, "last_trade_id": 9}

    assert skipped(one, two) == [("binance-spot-aggregates", "BTCUSDT", 5, 6)]


@pytest.mark.parametrize(
    "lacking",
    [{"market": None}, {"market": "coinm"}, {"trade_id": None}],
    ids=["an unknown market", "a market without a service", "no number"],
)
def test_trades_whose_numbers_prove_nothing_show_no_hole(lacking: dict[str, Any]) -> None:
    assert skipped(spot(1) | lacking, spot(9) | lacking) == []


def test_a_hole_is_told_once_and_one_across_two_looks_as_well() -> None:
    holes = ArchiveHoles(exchange_named("binance"))
    holes.take(spot(1))
    holes.take(spot(3))

    first, nothing = holes.found(), holes.found()
    holes.take(spot(5))
    across = holes.found()

    assert [(f.first, f.last) for f in (*first, *nothing, *across)] == [(2, 2), (4, 4)]


def test_of_too_many_holes_the_largest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_holes, "MAX_NOTED", 1)

    assert skipped(spot(1), spot(3), spot(9)) == [("binance-spot", "BTCUSDT", 4, 8)]

"""Prints that do not count towards a bar's prices, volume or number of trades."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from k2.bars.aggregate import to_minute_bars
from k2.bars.counting import counted
from k2.exchanges import Condition
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from tests.support.bars import gold_row
from tests.support.trades import arrow

pytestmark = pytest.mark.unit

NINE = datetime(2026, 7, 7, 9, 0, tzinfo=UTC)
SOURCE = "made up here"
EXCHANGES = (
    replace(
        BINANCE,
        conditions=(
            Condition("off_book", SOURCE),
            Condition("odd_lot", SOURCE, price=True, volume=True),
            Condition("price_only", SOURCE, price=True),
        ),
    ),
    KRAKEN,
)


def print_(second, price, *conditions, **changes):
    moment = NINE + timedelta(seconds=second)
    return gold_row(
        second,
        timestamp=moment,
        price=Decimal(price),
        quantity=Decimal(1),
        side="BUY",
        trade_conditions=list(conditions),
        **changes,
    )


def minutes(*trades):
    return to_minute_bars(arrow(GOLD_TRADES, trades), EXCHANGES).to_pylist()


def numbers(bar):
    names = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
    return [*(int(bar[name]) for name in names), bar["trade_count"], bar["rows"]]


@pytest.mark.parametrize("at", [0, 20, 40], ids=["first", "middle", "last"])
@pytest.mark.parametrize("price", ["1", "99"])
def test_a_print_that_counts_towards_nothing_leaves_a_bar_as_it_is(at, price):
    trades = [print_(10, "10"), print_(30, "12")]

    (bar,) = minutes(*trades, print_(at, price, "off_book"))

    assert numbers(bar) == [10, 12, 10, 12, 2, 22, 2, 2, 3]


def test_a_print_may_count_towards_prices_and_volume_alone():
    (bar,) = minutes(print_(10, "10"), print_(30, "12", "odd_lot"))

    assert numbers(bar) == [10, 12, 10, 12, 2, 22, 2, 1, 2]


def test_a_print_may_count_towards_prices_alone():
    (bar,) = minutes(print_(10, "10"), print_(30, "12", "price_only"))

    assert numbers(bar) == [10, 12, 10, 12, 1, 10, 1, 1, 2]


def test_a_bar_of_no_volume_has_no_vwap():
    (bar,) = minutes(print_(30, "12", "price_only"))

    assert (bar["close"], bar["volume"], bar["vwap"]) == (Decimal(12), 0, None)


def test_one_condition_that_does_not_count_is_enough():
    (bar,) = minutes(print_(10, "10"), print_(30, "12", "market", "off_book"))

    assert numbers(bar) == [10, 10, 10, 10, 1, 10, 1, 1, 2]


def test_a_minute_of_prints_that_count_towards_nothing_has_no_prices():
    bars = minutes(print_(10, "10", "off_book"), print_(70, "12"))

    assert [(bar["open"], bar["rows"]) for bar in sorted(bars, key=lambda b: b["bar_start"])] == [
        (None, 1),
        (Decimal(12), 1),
    ]


def test_a_condition_means_what_its_own_exchange_says():
    (bar,) = minutes(print_(10, "10", "off_book", exchange="kraken"))

    assert numbers(bar) == [10, 10, 10, 10, 1, 10, 1, 1, 1]


@pytest.mark.parametrize("conditions", [None, [], ["market"], [None]])
def test_a_condition_that_is_not_named_counts_towards_everything(conditions):
    odd = print_(10, "10") | {"trade_conditions": conditions}

    bars = minutes(odd, print_(30, "12", "off_book"))

    assert numbers(bars[0]) == [10, 10, 10, 10, 1, 10, 1, 1, 2]


def test_trades_without_special_conditions_stay_the_same_table():
    trades = arrow(GOLD_TRADES, [print_(10, "10", "market")])

    assert counted(trades, EXCHANGES) is trades


@pytest.mark.parametrize("what", ["volume", "count"])
def test_what_counts_towards_no_price_counts_towards_nothing(what):
    with pytest.raises(ValueError, match=r"'block'.* counts towards nothing"):
        Condition("block", SOURCE, **{what: True})

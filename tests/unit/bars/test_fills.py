"""Bars of the same fills, whatever aggregates they came in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2.bars.aggregate import add_up, to_minute_bars
from k2.bars.table import TIMEFRAMES
from k2.gold.table import GOLD_TRADES
from tests.support.bars import gold_row
from tests.support.trades import arrow

pytestmark = pytest.mark.unit

NINE = datetime(2026, 7, 7, 9, 0, tzinfo=UTC)
NOT_OF_FILLS = ("rows", "first_trade", "last_trade")

# Orders: when (half minutes, so that some share an instant), whose side, and the fills' prices and sizes.
ORDER = st.tuples(
    st.integers(0, 5),
    st.sampled_from(["BUY", "SELL"]),
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=6),
)


def fills_of(orders):
    """Fills with rising ids, as an exchange matches one order after the other."""
    number = 100
    for half_minutes, side, parts in sorted(orders, key=lambda order: order[0]):
        for price, size in parts:
            yield {
                "timestamp": NINE + timedelta(seconds=30 * half_minutes),
                "source_sequence": number,
                "side": side,
                "price": Decimal(price),
                "quantity": Decimal(size).scaleb(-3),
            }
            number += 1


def cut(fills, ends):
    """Groups of neighbouring fills of one instant, side and price, cut further at ``ends``."""
    for _, same in groupby(fills, key=lambda f: (f["timestamp"], f["side"], f["price"])):
        group = []
        for fill in same:
            group.append(fill)
            if fill["source_sequence"] in ends:
                yield group
                group = []
        if group:
            yield group


def row(offset, group):
    """The Gold row of a trade or of an aggregate."""
    size = sum((fill["quantity"] for fill in group), Decimal(0))
    return gold_row(offset, **(group[0] | {"quantity": size, "trade_count": len(group)}))


def bars(rows):
    minutes = to_minute_bars(arrow(GOLD_TRADES, rows))
    made = add_up((minutes, tuple(TIMEFRAMES))).drop_columns(list(NOT_OF_FILLS)).to_pylist()
    return sorted(made, key=lambda bar: (bar["timeframe"], bar["bar_start"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(ORDER, min_size=1, max_size=8), st.data())
def test_bars_of_fills_and_of_any_aggregates_of_them_are_equal(orders, data):
    fills = list(fills_of(orders))
    ids = [fill["source_sequence"] for fill in fills]
    groups = list(cut(fills, data.draw(st.sets(st.sampled_from(ids)))))
    offsets = data.draw(st.permutations(range(len(groups))))

    of_fills = bars([row(offset, [fill]) for offset, fill in enumerate(fills)])
    of_groups = bars([row(offset, group) for offset, group in zip(offsets, groups, strict=True)])

    assert of_groups == of_fills
    assert sum(bar["trade_count"] for bar in of_fills if bar["timeframe"] == "1d") == len(fills)

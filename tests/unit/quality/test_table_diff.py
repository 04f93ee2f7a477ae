"""Two states of a table: what is more, less and other is counted and named."""

from decimal import Decimal

import pytest

from k2.exchanges.binance import BINANCE
from k2.quality.table_diff import beyond, compare, newest_offsets
from k2.silver.tables import silver_trades
from k2.storage.delta import ensure_table, open_table
from tests.support.trades import append_silver, silver_row

pytestmark = pytest.mark.unit

SILVER = silver_trades(BINANCE)
ALL = ((0, 0, 99),)


def stored(lake, *rows):
    ensure_table(lake, SILVER)
    if rows:
        append_silver(lake, BINANCE, rows)
    return open_table(lake, SILVER)


def rows(*offsets, **changes):
    return [silver_row(BINANCE, offset, **changes) for offset in offsets]


def compared(tmp_path, live, rebuilt, by=ALL, without=None):
    live, rebuilt = stored(tmp_path / "a", *live), stored(tmp_path / "b", *rebuilt)
    return compare(SILVER, live, rebuilt, without, by)


@pytest.mark.parametrize("by", [ALL, ((0, 0, 0), (0, 1, 1), (0, 2, 99))])
def test_equal_tables_are_equal_however_they_are_sliced(tmp_path, by):
    found = compared(tmp_path, rows(0, 1, 2), rows(2, 0, 1), by)

    assert found.is_equal
    assert (found.live, found.rebuilt) == (3, 3)


def test_added_and_removed_records_are_named(tmp_path):
    found = compared(tmp_path, rows(0, 1), rows(1, 2))

    assert (found.added, found.removed, found.is_equal) == (1, 1, False)
    assert found.samples == {
        "added": [f"{BINANCE.topic}-0@2"],
        "removed": [f"{BINANCE.topic}-0@0"],
    }


def test_the_last_digit_of_a_price_is_a_difference(tmp_path):
    found = compared(tmp_path, rows(0), rows(0, price=Decimal("61837.63000001000000")))

    assert found.changed == {"price": 1}
    assert found.samples["price"] == [
        {
            "record": f"{BINANCE.topic}-0@0",
            "live": "61837.63000000000000",
            "rebuilt": "61837.63000001000000",
        }
    ]


@pytest.mark.parametrize(
    ("name", "live", "rebuilt"),
    [
        ("source_sequence", None, 0),
        ("trade_conditions", [], None),
        ("trade_conditions", ["a"], ["a", "b"]),
        ("vendor_data", "{}", None),
    ],
)
def test_a_null_is_another_value(tmp_path, name, live, rebuilt):
    found = compared(tmp_path, rows(0, **{name: live}), rows(0, **{name: rebuilt}))

    assert found.changed == {name: 1}


def test_samples_are_few_and_counts_whole(tmp_path):
    found = compared(tmp_path, rows(*range(30)), [], ((0, 0, 9), (0, 10, 99)))

    assert found.removed == 30
    assert len(found.samples["removed"]) == 5


def test_history_is_not_compared(tmp_path):
    history = stored(tmp_path / "history", *rows(1))

    assert compared(tmp_path, rows(0, 1), rows(0), without=history).is_equal


def test_a_table_that_does_not_exist_is_empty(tmp_path):
    found = compare(SILVER, None, stored(tmp_path, *rows(0)), None, ALL)

    assert (found.live, found.added) == (0, 1)


def test_what_no_table_has_decided_is_beyond(tmp_path):
    decided, bronze = stored(tmp_path / "a", *rows(0, 5)), stored(tmp_path / "b", *rows(5, 6, 7))
    elsewhere = stored(tmp_path / "c", *rows(3, partition=1))

    ends = newest_offsets([decided])

    assert ends == {0: 5}
    assert beyond(bronze, ends) == 2
    assert beyond(elsewhere, ends) == 1

"""Gold's trades of some hours, a part at a time."""

from datetime import timedelta

import pytest

from k2.bars import gold_hours
from k2.bars.gold_hours import read_hours
from k2.gold.table import GOLD_TRADES
from k2.storage.delta import open_table
from tests.support.bars import EPOCH, gold_row
from tests.support.stored_bars import NINE
from tests.support.trades import append

pytestmark = pytest.mark.unit

HOUR = (NINE - EPOCH) // timedelta(hours=1)
HOURS = [HOUR - 1, HOUR, HOUR + 1, HOUR + 2, HOUR + 24, HOUR + 25]


@pytest.fixture
def gold(tmp_path):
    rows = [
        gold_row(number, timestamp=EPOCH + timedelta(hours=hour, minutes=number))
        for number, hour in enumerate(HOURS)
    ]
    append(tmp_path, GOLD_TRADES, rows)
    append(tmp_path, GOLD_TRADES, [gold_row(90, timestamp=EPOCH + timedelta(hours=HOUR))])
    return open_table(tmp_path, GOLD_TRADES)


@pytest.mark.parametrize(
    ("hours", "offsets"),
    [
        ([HOUR], [1, 90]),
        ([HOUR + 25, HOUR, HOUR], [1, 5, 90]),
        ([HOUR + 3], []),
        ([], []),
    ],
)
def test_the_trades_of_the_hours_come_and_no_others(gold, hours, offsets):
    parts = list(read_hours(gold, hours, ["offset"]))

    assert sorted(offset for part in parts for offset in part["offset"].to_pylist()) == offsets
    assert {tuple(part.column_names) for part in parts} <= {("offset",)}


def test_they_come_in_parts(gold, monkeypatch):
    monkeypatch.setattr(gold_hours, "_ROWS", 1)

    parts = list(read_hours(gold, HOURS, ["offset"]))

    assert len(parts) == 7
    assert {part.num_rows for part in parts} == {1}

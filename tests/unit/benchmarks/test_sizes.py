"""What a trade takes on disk stays below what is promised."""

import pytest

from benchmarks.sizes import as_markdown, sizes

pytestmark = pytest.mark.unit

MAX_BYTES = 25  # of a trade in Gold, compacted


@pytest.fixture(scope="module")
def measured():
    return sizes(30_000, 10_000)


def test_gold_and_silver_keep_to_their_bytes_a_trade(measured):
    compacted = measured["compacted"]

    assert 10 < compacted["gold"] <= MAX_BYTES
    assert 8 < compacted["silver"] <= MAX_BYTES
    assert compacted["gold"] < measured["written"]["gold"]


def test_columns_that_say_the_same_of_nearly_all_trades_take_next_to_nothing(measured):
    columns = measured["columns_of_gold"]

    same = ("instrument_type", "trade_count", "exchange", "asset_class", "currency", "is_late")
    assert sum(columns[name] for name in same) < 0.5
    assert sum(columns.values()) == pytest.approx(measured["compacted"]["gold"], rel=0.2)


def test_the_report_has_the_largest_columns_first(measured):
    lines = as_markdown(measured).splitlines()

    assert lines[2].startswith("| bronze |")
    assert float(lines[8].split("|")[2]) >= float(lines[9].split("|")[2])

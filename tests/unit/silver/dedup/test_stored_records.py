"""An index of duplicates made anew from what the tables hold."""

from contextlib import closing

import pyarrow as pa
import pytest

from k2.exchanges.binance import BINANCE
from k2.silver.dedup.index import NEEDED, DedupIndex
from k2.silver.dedup.stored_records import stored_records
from k2.silver.tables import dead_letters, silver_trades
from tests.support.trades import BROKER_TIME, append, append_silver, arrow, silver_row

pytestmark = pytest.mark.unit

SPACE = "binance-20260707-0123456789abcdef"


def trade(offset, first, last):
    return silver_row(
        BINANCE,
        offset,
        message_id=f"{SPACE}{first:016x}",
        first_trade_id=first,
        last_trade_id=last,
        trade_count=last - first + 1,
    )


def letter(offset, error_type, number):
    return {
        "raw_record": b"x",
        "error_type": error_type,
        "error_reasons": [error_type],
        "stage": "silver",
        "message_id": None if number is None else f"{SPACE}{number % 2**64:016x}",
        "topic": BINANCE.topic,
        "partition": 0,
        "offset": offset,
        "kafka_timestamp": BROKER_TIME,
        "error_timestamp": BROKER_TIME,
        "dlq_date": BROKER_TIME.date(),
    }


def outcomes(tmp_path, lake, *asked, but=None):
    """What an index made anew says of trades."""
    rows = arrow(silver_trades(BINANCE), asked).select(list(NEEDED))
    with closing(DedupIndex(tmp_path / "seen.db")) as index:
        index.rebuild(stored_records(lake, BINANCE, but), 3)
        found = index.find_duplicates(rows)
    return found.duplicates.tolist(), found.overlaps.tolist()


def test_the_fills_of_stored_aggregates_are_known(tmp_path):
    append_silver(tmp_path / "lake", BINANCE, [trade(0, 100, 104), trade(1, 107, 107)])

    asked = [trade(8, 102, 102), trade(9, 104, 105), trade(10, 106, 106)]

    assert outcomes(tmp_path, tmp_path / "lake", *asked) == (
        [True, True, False],
        [False, True, False],
    )


def test_ids_without_a_trade_are_known_from_the_dead_letters(tmp_path):
    lake = tmp_path / "lake"
    append_silver(lake, BINANCE, [trade(0, 100, 100), trade(1, 102, 102)])
    append(lake, dead_letters(BINANCE), [letter(2, "filler", 101), letter(3, "rule", 103)])

    asked = [trade(8, 100, 102), trade(9, 102, 103)]

    assert outcomes(tmp_path, lake, *asked) == ([True, True], [False, True])


def test_an_id_at_the_end_of_int64_can_be_one_without_a_trade(tmp_path):
    lake = tmp_path / "lake"
    append_silver(lake, BINANCE, [trade(0, -3, -3)])
    append(lake, dead_letters(BINANCE), [letter(2, "filler", -2)])

    assert outcomes(tmp_path, lake, trade(8, -3, -2)) == ([True], [False])


def test_the_records_of_the_batch_in_hand_are_left_out(tmp_path):
    lake = tmp_path / "lake"
    append_silver(lake, BINANCE, [trade(0, 100, 100), trade(1, 102, 102)])
    append(lake, dead_letters(BINANCE), [letter(2, "filler", 101)])
    in_hand = arrow_records([(0, 1), (0, 2)])

    found = outcomes(tmp_path, lake, trade(8, 100, 102), trade(9, 102, 102), but=in_hand)

    assert found == ([True, False], [True, False])


def test_tables_that_are_not_there_hold_nothing(tmp_path):
    assert list(stored_records(tmp_path, BINANCE)) == []


def arrow_records(places):
    return pa.table(
        {
            "partition": pa.array([p for p, _ in places], pa.int32()),
            "offset": pa.array([o for _, o in places], pa.int64()),
        }
    )

"""The search for duplicates: the first by offset stays, whatever happens between."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2.silver.dedup import seen_numbers
from k2.silver.dedup.id_ranges import IdRanges
from k2.silver.dedup.index import NEEDED, DedupIndex, DedupResult
from k2.silver.dedup.seen_numbers import BLOCK_BITS

pytestmark = pytest.mark.unit

DAY = "binance-20260707-"
NOON = datetime(2026, 7, 7, 12, tzinfo=UTC)


def trade(number, offset, space="a" * 16, partition=0):
    """A trade as (first id, message_id, timestamp, partition, offset)."""
    if isinstance(number, int):
        return number, f"{DAY}{space}{number % 2**64:016x}", NOON, partition, offset
    # One without a number has its time from its fields, so that it repeats with them.
    time = NOON + timedelta(microseconds=int(number, 16) % 1_000_000)
    return None, f"{DAY}{number}", time, partition, offset


def key(text):
    return f"{text:0>32}"


def batch(*trades):
    columns = zip(*trades, strict=True) if trades else [()] * 5
    types = (pa.int64(), pa.string(), pa.timestamp("us", "UTC"), pa.int32(), pa.int64())
    names = ("first_trade_id", "message_id", "timestamp", "partition", "offset")
    rows = {
        name: pa.array(list(values), kind)
        for name, values, kind in zip(names, columns, types, strict=True)
    }
    return pa.table({"last_trade_id": rows["first_trade_id"]} | rows).select(list(NEEDED))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "state" / "seen-trades.db"


@pytest.fixture
def seen(path):
    index = DedupIndex(path)
    yield index
    index.close()


def take(index, batch_id, *trades):
    """Judge and apply; the offsets of the duplicates."""
    rows = batch(*trades)
    found = index.find_duplicates(rows)
    index.commit_batch(found, batch_id)
    return rows.filter(pa.array(found.duplicates))["offset"].to_pylist()


def test_a_new_index_has_nothing(seen):
    assert (seen.applied_batch, seen.range_count) == (-1, 0)
    assert seen.find_duplicates(batch()).duplicates.tolist() == []


@pytest.mark.parametrize("name", [7, key("7")], ids=["number", "no number"])
def test_the_first_by_offset_stays_in_whatever_order_rows_come(seen, name):
    rows = [trade(name, offset) for offset in (30, 10, 20)]

    assert take(seen, 0, *rows) == [30, 20]


@pytest.mark.parametrize("name", [7, key("7")], ids=["number", "no number"])
def test_a_duplicate_is_found_however_old_it_is(seen, name):
    take(seen, 0, trade(name, 0))
    for batch_id in range(1, 50):
        take(
            seen, batch_id, trade(1_000 + batch_id, batch_id), trade(key(batch_id + 100), batch_id)
        )

    assert take(seen, 50, trade(name, 999)) == [999]


def test_of_thousands_of_trades_without_numbers_each_is_found_again(seen):
    names = [key(f"{n:x}") for n in range(2_500)]
    fresh = take(seen, 0, *(trade(name, n) for n, name in enumerate(names)))

    again = take(seen, 1, *(trade(name, 9_000 + n) for n, name in enumerate(names)))

    assert (fresh, len(again)) == ([], 2_500)


def test_a_trade_without_a_number_from_before_1970_is_known_by_its_time_too(seen):
    def old(seconds, offset):
        return None, f"{DAY}{key('7')}", datetime(1969, 12, 31, tzinfo=UTC) + seconds, 0, offset

    one, other = timedelta(seconds=1), timedelta(seconds=2)

    assert take(seen, 0, old(one, 0), old(other, 1), old(one, 2)) == [2]


def test_judging_changes_nothing(seen):
    rows = batch(trade(1, 0), trade(key("1"), 1))

    first, second = seen.find_duplicates(rows), seen.find_duplicates(rows)

    assert first.duplicates.tolist() == second.duplicates.tolist() == [False, False]
    assert seen.applied_batch == -1


@pytest.mark.parametrize("space", ["b" * 16, "A" * 16, "a" * 15 + "b"])
def test_the_same_number_elsewhere_is_another_trade(seen, space):
    take(seen, 0, trade(7, 0))

    assert take(seen, 1, trade(7, 1, space=space)) == []


def test_a_lower_partition_goes_before_a_lower_offset(seen):
    assert take(seen, 0, trade(7, 1, partition=1), trade(7, 900, partition=0)) == [1]


def test_numbers_at_the_ends_of_int64_are_told_apart(seen):
    ends = (-(2**63), -1, 0, 2**63 - 1)

    fresh = take(seen, 0, *(trade(number, offset) for offset, number in enumerate(ends)))
    again = take(seen, 1, *(trade(number, 10 + offset) for offset, number in enumerate(ends)))

    assert (fresh, again) == ([], [10, 11, 12, 13])


def test_a_million_numbers_in_a_row_take_a_range_a_block(seen):
    for batch_id in range(10):
        numbers = np.arange(batch_id * 100_000, (batch_id + 1) * 100_000)
        rows = pa.table(
            {
                "first_trade_id": numbers,
                "last_trade_id": numbers,
                "message_id": [f"{DAY}{'a' * 16}{number:016x}" for number in numbers],
                "timestamp": pa.array([NOON] * 100_000, pa.timestamp("us", "UTC")),
                "partition": pa.array(np.zeros(100_000, np.int32)),
                "offset": numbers,
            }
        )
        seen.commit_batch(seen.find_duplicates(rows), batch_id)

    assert seen.range_count == 1_000_000 // 2**BLOCK_BITS + 1
    assert take(seen, 10, trade(777_777, 5_000_000), trade(1_000_000, 5_000_001)) == [5_000_000]


def test_the_index_outlives_its_process(seen, path):
    take(seen, 3, trade(1, 0), trade(2, 1), trade(key("c"), 2))
    seen.close()

    reopened = DedupIndex(path)

    assert (reopened.applied_batch, reopened.range_count) == (3, 1)
    assert take(reopened, 4, trade(2, 7), trade(key("c"), 8), trade(3, 9)) == [7, 8]
    reopened.close()


def test_a_crash_before_apply_leaves_the_batch_to_be_judged_alike(path):
    first = DedupIndex(path)
    take(first, 0, trade(1, 0), trade(key("a"), 1))
    rows = batch(trade(1, 2), trade(2, 3), trade(key("a"), 4), trade(key("b"), 5))
    judged = first.find_duplicates(rows).duplicates.tolist()
    first.close()  # the tables were written, apply never ran

    again = DedupIndex(path)

    assert again.applied_batch == 0
    assert again.find_duplicates(rows).duplicates.tolist() == judged == [True, False, True, False]
    again.close()


def test_a_failure_inside_apply_leaves_nothing_behind(seen, path):
    take(seen, 0, trade(1, 0))
    found = seen.find_duplicates(batch(trade(2, 1), trade(key("a"), 2)))
    found.keys.append(object())  # what SQLite cannot take

    with pytest.raises(Exception, match="type 'object' is not supported"):
        seen.commit_batch(found, 1)

    seen.close()
    reopened = DedupIndex(path)
    assert reopened.applied_batch == 0
    assert (
        reopened.find_duplicates(batch(trade(2, 3), trade(key("a"), 4))).duplicates.tolist()
        == [False] * 2
    )
    reopened.close()


def test_an_error_with_which_sqlite_ends_the_transaction_is_the_one_that_is_told(seen, path):
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(
            "create trigger full before insert on keys"
            " begin select raise(rollback, 'database or disk is full'); end"
        )

    with pytest.raises(sqlite3.Error, match="disk is full"):
        take(seen, 0, trade(key("a"), 1))

    with closing(sqlite3.connect(path)) as other, other:
        other.execute("drop trigger full")
    assert take(seen, 0, trade(key("a"), 1)) == []
    assert take(seen, 1, trade(key("a"), 2)) == [2]


def test_an_index_that_cannot_be_opened_is_not_left_open(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)

    with pytest.raises(sqlite3.DatabaseError, match="not a database") as caught:
        DedupIndex(path)

    assert caught.value is not None  # which holds on to all that was open where it was raised
    assert path.resolve() not in {Path(file.path) for file in psutil.Process().open_files()}


def test_rebuilding_from_silver_gives_the_same_index(seen, tmp_path):
    trades = [
        *(trade(number, number) for number in (5, 6, 7, 100)),
        trade(-(2**63), 200),
        trade(2**63 - 1, 201),
        trade(7, 202, space="0123456789abcdef"),
        trade(key("f"), 203),
        trade(key("e"), 204),
    ]
    take(seen, 4, *trades)
    rebuilt = DedupIndex(tmp_path / "other.db")
    take(rebuilt, 0, trade(99, 0), trade(key("d"), 1))  # is forgotten

    rebuilt.rebuild([(batch(*trades[:4]), None), (batch(*trades[4:]), None)], 4)

    assert (rebuilt.applied_batch, rebuilt.range_count) == (4, seen.range_count)
    probe = batch(
        *(trade(n, i) for i, n in enumerate((4, 5, 6, 7, 8, 99, 100, 2**63 - 1, -(2**63)))),
        trade(7, 20, space="0123456789abcdef"),
        trade(7, 21, space="fedcba9876543210"),
        *(trade(key(name), 30 + i) for i, name in enumerate("abcdef")),
    )
    assert (
        rebuilt.find_duplicates(probe).duplicates.tolist()
        == seen.find_duplicates(probe).duplicates.tolist()
    )
    rebuilt.close()


def test_rebuilding_from_an_empty_table_says_which_batch_it_holds(seen):
    take(seen, 0, trade(1, 0))

    seen.rebuild([], 8)

    assert seen.applied_batch == 8
    assert take(seen, 9, trade(1, 0)) == []


ROWS = st.lists(
    st.tuples(st.integers(0, 12) | st.sampled_from([key("a"), key("b")]), st.sampled_from("ab")),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_exactly_the_first_record_of_each_trade_is_no_duplicate(tmp_path_factory, batches):
    index = DedupIndex(tmp_path_factory.mktemp("seen") / "seen.db")
    met, offset = set(), 0
    try:
        for batch_id, names in enumerate(batches):
            rows, wanted = [], []
            for name, letter in names:
                rows.append(trade(name, offset, space=letter * 16))
                identity = (name, letter) if isinstance(name, int) else name
                if identity in met:
                    wanted.append(offset)
                met.add(identity)
                offset += 1

            assert take(index, batch_id, *rows) == wanted
    finally:
        index.close()


def test_a_number_that_comes_again_on_another_day_is_another_trade(seen):
    take(seen, 0, trade(1, 0))
    number, message_id, time, partition, _ = trade(1, 0)
    next_day = message_id.replace("20260707", "20260708")

    assert take(seen, 1, (number, next_day, time + timedelta(days=1), partition, 1)) == []


def test_blocks_that_left_memory_are_read_again(seen, monkeypatch):
    monkeypatch.setattr(seen_numbers, "_IN_MEMORY", 2)
    far_apart = [number << BLOCK_BITS for number in range(-4, 5)]

    fresh = take(seen, 0, *(trade(number, offset) for offset, number in enumerate(far_apart)))
    again = take(seen, 1, *(trade(number, 10 + offset) for offset, number in enumerate(far_apart)))

    assert (fresh, again) == ([], [*range(10, 19)])


def test_neighbours_in_two_blocks_are_told_apart(seen):
    edge = 1 << BLOCK_BITS

    assert take(seen, 0, trade(edge - 1, 0), trade(edge, 1), trade(edge, 2)) == [2]
    assert take(seen, 1, trade(edge - 2, 3), trade(edge - 1, 4), trade(edge + 1, 5)) == [4]


def test_a_failure_inside_apply_leaves_the_blocks_in_memory_as_they_were(seen):
    take(seen, 0, trade(1, 0))
    found = seen.find_duplicates(batch(trade(2, 1)))
    found.keys.append(object())  # what SQLite cannot take

    with pytest.raises(Exception, match="type 'object' is not supported"):
        seen.commit_batch(found, 1)

    assert take(seen, 1, trade(1, 2), trade(2, 3)) == [2]


def test_an_index_of_another_layout_has_nothing_and_is_made_anew(path):
    path.parent.mkdir(parents=True)
    old = sqlite3.connect(path)
    old.executescript(
        "create table applied (only_row integer primary key, batch integer);"
        "insert into applied values (0, 7);"
        "create table ranges (space text primary key, lows blob, highs blob) without rowid;"
        "create table keys (key blob primary key) without rowid;"
    )
    old.close()

    index = DedupIndex(path)

    assert (index.applied_batch, index.range_count) == (-1, 0)
    assert take(index, 8, trade(1, 0), trade(key("a"), 1)) == []
    index.close()


def written_by(index, path, batch_id, *trades):
    """Bytes that a batch writes to the database's log."""
    log = path.with_name(f"{path.name}-wal")
    index._database.execute("pragma wal_checkpoint(truncate)")
    assert log.stat().st_size == 0

    assert take(index, batch_id, *trades) == []

    return log.stat().st_size


def test_a_batch_writes_as_much_to_a_large_index_as_to_a_small_one(seen, path):
    sizes = []
    for batch_id, blocks in enumerate((4, 60)):
        # Every eighth number of a market: as many ranges as numbers.
        for block in range(blocks):
            first = block << BLOCK_BITS
            numbers = np.arange(first, first + (1 << BLOCK_BITS), 8)
            place = f"{DAY}{'a' * 16}", block
            seen.add(DedupResult(np.zeros(0, np.bool_), {place: IdRanges.of(numbers)}))
        new = ((blocks - 1) << BLOCK_BITS) + 3

        sizes.append(written_by(seen, path, batch_id, trade(new, batch_id)))

    assert 0 < sizes[1] < 1.2 * sizes[0]


def test_trades_of_a_moment_without_numbers_lie_together_on_disk(seen, path):
    def at(seconds, how_many):
        moment = NOON + timedelta(seconds=seconds)
        for _ in range(how_many):
            identity = f"{chance.getrandbits(128):032x}"
            yield None, f"{DAY}{identity}", moment, 0, next(offsets)

    chance, offsets = random.Random(7), count(0)
    for batch_id in range(20):
        take(seen, batch_id, *at(batch_id, 1_000))

    size = written_by(seen, path, 20, *at(21, 100))

    pages = size / seen._database.execute("pragma page_size").fetchone()[0]
    assert pages < 12


def test_memory_holds_a_fixed_number_of_blocks(seen, monkeypatch):
    monkeypatch.setattr(seen_numbers, "_IN_MEMORY", 2)
    asked = []
    take(seen, 0, *(trade(block << BLOCK_BITS, block) for block in range(9)))
    seen._database.set_trace_callback(
        lambda statement: asked.append(statement) if "select lows" in statement else None
    )

    for _ in range(2):
        seen.find_duplicates(batch(trade(0, 90)))
        seen.find_duplicates(batch(trade(8 << BLOCK_BITS, 91)))

    assert len(asked) == 1  # the first block had left, the last one had not

"""Records that cover ranges of ids, decided one after the other: held to Python's sets."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2.silver.dedup.id_search import (
    NEW,
    OVERLAPS,
    REPEATED,
    IdBatch,
    TakenIds,
    find_repeated_ids,
)
from k2.silver.dedup.index import DedupIndex
from k2.silver.dedup.seen_numbers import BLOCK_BITS

pytestmark = pytest.mark.unit

EDGE = 1 << BLOCK_BITS
HIGHEST = 2**63 - 1


@pytest.fixture
def index(tmp_path):
    made = DedupIndex(tmp_path / "seen.db")
    yield made
    made.close()


def batch(*records):
    """Records as (first, last, space, is filler), the last two left out where they do not matter."""
    full = [(*record, *("a", False)[len(record) - 2 :]) for record in records]
    spaces = sorted({record[2] for record in full})
    return IdBatch(
        spaces,
        np.array([spaces.index(record[2]) for record in full], np.int64),
        np.array([record[0] for record in full], np.int64),
        np.array([record[1] for record in full], np.int64),
        np.array([record[3] for record in full], np.bool_),
    )


def take(index, *records):
    """Decide records and remember them; the outcome of each."""
    outcomes, added = find_repeated_ids(batch(*records), index._numbers)
    index._numbers.committed(index._numbers.write(added))
    return outcomes.tolist()


@dataclass
class Model:
    """What must happen, by sets of single ids."""

    trades: dict = field(default_factory=dict)
    fillers: dict = field(default_factory=dict)

    def take(self, first, last, space, is_filler):
        ids = set(range(first, last + 1))
        seen, fillers = self.trades.setdefault(space, set()), self.fillers.setdefault(space, set())
        if is_filler:
            fillers |= ids
            return None
        if not ids & seen:
            seen |= ids
            return NEW
        return REPEATED if ids <= seen | fillers else OVERLAPS


RECORD = st.one_of(
    st.tuples(st.integers(0, 14), st.integers(0, 5), st.sampled_from("ab"), st.just(False)),
    st.tuples(st.integers(EDGE - 6, EDGE + 6), st.integers(0, 9), st.just("a"), st.just(False)),
    st.tuples(st.integers(0, 14), st.just(0), st.sampled_from("ab"), st.just(True)),
    st.tuples(st.integers(HIGHEST - 4, HIGHEST), st.just(0), st.just("b"), st.just(False)),
).map(lambda r: (r[0], r[0] + r[1], r[2], r[3]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(RECORD, max_size=14), min_size=1, max_size=4))
def test_each_record_is_decided_as_if_it_came_alone(tmp_path_factory, batches):
    index, model = DedupIndex(tmp_path_factory.mktemp("seen") / "seen.db"), Model()
    try:
        for records in batches:
            wanted = [model.take(*record) for record in records]

            found = take(index, *records)

            decided = [
                None if record[3] else outcome
                for record, outcome in zip(records, found, strict=True)
            ]
            assert decided == wanted
    finally:
        index.close()


@pytest.mark.parametrize("first", [500, EDGE - 1, HIGHEST - 2], ids=["", "two blocks", "highest"])
def test_an_aggregate_of_trades_that_were_seen_is_repeated(index, first):
    trades = [(first + n, first + n) for n in range(3)]

    together = take(index, *trades, (first, first + 2))
    later = take(index, (first, first + 2))

    assert (together, later) == ([NEW] * 3 + [REPEATED], [REPEATED])


@pytest.mark.parametrize("first", [500, EDGE - 1], ids=["", "two blocks"])
def test_trades_of_an_aggregate_that_was_seen_are_repeated(index, first):
    trades = [(first + n, first + n) for n in range(3)]

    together = take(index, (first, first + 2), *trades)
    later = take(index, *trades)

    assert (together, later) == ([NEW] + [REPEATED] * 3, [REPEATED] * 3)


def test_an_aggregate_of_which_one_trade_was_seen_overlaps_and_adds_nothing(index):
    take(index, (501, 501))

    assert take(index, (500, 502)) == [OVERLAPS]
    assert take(index, (500, 500), (502, 502)) == [NEW, NEW]
    assert take(index, (500, 502)) == [REPEATED]


def test_the_same_overlapping_aggregate_again_overlaps_again(index):
    assert take(index, (1, 1), (1, 2), (1, 2)) == [NEW, OVERLAPS, OVERLAPS]
    assert take(index, (1, 2), (1, 2)) == [OVERLAPS, OVERLAPS]


def test_two_aggregates_that_share_a_fill_are_not_both_taken(index):
    assert take(index, (1, 3), (3, 5), (4, 5)) == [NEW, OVERLAPS, NEW]


def test_what_lies_beside_an_aggregate_is_new(index):
    assert take(index, (10, 20), (9, 9), (21, 21), (0, 8), (22, 40)) == [NEW] * 5
    assert index.range_count == 1


def test_ids_without_a_trade_are_not_missing_of_an_aggregate(index):
    take(index, (1, 1), (3, 3), (2, 2, "a", True))

    assert take(index, (1, 3)) == [REPEATED]
    assert take(index, (3, 4)) == [OVERLAPS]


def test_an_id_without_a_trade_counts_from_where_it_came(index):
    assert take(index, (1, 1), (3, 3), (1, 3), (2, 2, "a", True), (1, 3)) == [
        *(NEW, NEW, OVERLAPS),
        *(NEW, REPEATED),
    ]


def test_an_aggregate_of_which_only_an_id_without_a_trade_was_seen_is_new(index):
    take(index, (2, 2, "a", True))

    assert take(index, (1, 3)) == [NEW]


def test_a_trade_of_an_id_that_was_said_to_have_none_is_new(index):
    assert take(index, (2, 2, "a", True), (2, 2), (2, 2)) == [NEW, NEW, REPEATED]


def test_ids_without_a_trade_are_of_one_market(index):
    take(index, (1, 1), (2, 2, "b", True), (1, 1, "b"))

    assert take(index, (1, 2), (1, 2, "b")) == [OVERLAPS, REPEATED]


def test_an_aggregate_over_several_blocks_is_one_range_in_each(index):
    assert take(index, (10, 2 * EDGE + 10)) == [NEW]
    assert index.range_count == 3
    assert take(index, (EDGE + 5, EDGE + 6), (2 * EDGE + 11, 2 * EDGE + 11)) == [REPEATED, NEW]


def test_a_million_fills_in_aggregates_take_a_range_a_block(index):
    for start in range(0, 1_000_000, 50_000):
        take(index, *((first, first + 9) for first in range(start, start + 50_000, 10)))

    assert index.range_count == 1_000_000 // EDGE + 1


@pytest.mark.parametrize(
    ("ranges", "held"),
    [
        ([(1, 3), (4, 6)], [(1, 6)]),
        ([(4, 6), (1, 3)], [(1, 6)]),
        ([(1, 3), (7, 9), (4, 6)], [(1, 9)]),
        ([(1, 3), (5, 6)], [(1, 3), (5, 6)]),
        ([(5, 6), (1, 3)], [(1, 3), (5, 6)]),
        ([(0, 0), (9, 9), (4, 5)], [(0, 0), (4, 5), (9, 9)]),
        ([(9, 9), (4, 5), (8, 8)], [(4, 5), (8, 9)]),
        ([(4, 5), (9, 9), (6, 6)], [(4, 6), (9, 9)]),
        ([(1, 1), (3, 3), (5, 5), (4, 4)], [(1, 1), (3, 5)]),
    ],
)
def test_neighbours_within_a_batch_become_one_range(ranges, held):
    taken = TakenIds()

    for first, last in ranges:
        taken.add(first, last)

    assert list(zip(taken.lows, taken.highs, strict=True)) == held
    assert taken.count(-5, 20) == sum(last - first + 1 for first, last in ranges)

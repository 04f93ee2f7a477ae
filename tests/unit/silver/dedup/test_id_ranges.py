"""Sets of whole numbers as ranges, held to Python's sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2.silver.dedup.id_ranges import IdRanges

pytestmark = pytest.mark.unit

LOWEST, HIGHEST = -(2**63), 2**63 - 1
# Mostly neighbours, so that ranges touch, overlap and join; sometimes the ends of int64.
NUMBER = st.one_of(
    st.integers(-20, 20),
    st.integers(LOWEST, LOWEST + 3),
    st.integers(HIGHEST - 3, HIGHEST),
    st.integers(LOWEST, HIGHEST),
)
NUMBERS = st.lists(NUMBER, max_size=40)


def array(numbers):
    return np.array(numbers, np.int64)


def members(ranges):
    """Every number; the strategies never make a wide range."""
    pairs = zip(ranges.lows.tolist(), ranges.highs.tolist(), strict=True)
    return {number for low, high in pairs for number in range(low, high + 1)}


def is_normal(ranges):
    lows, highs = ranges.lows.tolist(), ranges.highs.tolist()
    inside = all(low <= high for low, high in zip(lows, highs, strict=True))
    return inside and all(high + 1 < low for high, low in zip(highs, lows[1:], strict=False))


@given(NUMBERS)
def test_ranges_hold_exactly_their_numbers(numbers):
    ranges = IdRanges.of(array(numbers))

    assert members(ranges) == set(numbers)
    assert is_normal(ranges)


@given(NUMBERS, NUMBERS)
def test_a_number_is_contained_when_it_was_put_in(numbers, asked):
    ranges = IdRanges.of(array(numbers))

    found = ranges.contains(array(asked + numbers))

    assert found.tolist() == [number in set(numbers) for number in asked + numbers]


@given(st.lists(NUMBERS, max_size=6))
def test_a_union_holds_the_numbers_of_all_in_any_order(parts):
    forwards, backwards = IdRanges.empty(), IdRanges.empty()
    for numbers in parts:
        forwards = forwards.union(IdRanges.of(array(numbers)))
        backwards = IdRanges.of(array(numbers)).union(backwards)

    assert members(forwards) == members(backwards) == {n for part in parts for n in part}
    assert is_normal(forwards)
    assert is_normal(backwards)


@given(NUMBERS)
def test_a_union_with_itself_changes_nothing(numbers):
    ranges = IdRanges.of(array(numbers))

    again = ranges.union(ranges)

    assert again.lows.tolist() == ranges.lows.tolist()
    assert again.highs.tolist() == ranges.highs.tolist()


def test_a_million_numbers_in_a_row_are_one_range():
    ranges = IdRanges.empty()
    for start in range(0, 1_000_000, 50_000):
        ranges = ranges.union(IdRanges.of(np.arange(start, start + 50_000)))

    assert len(ranges) == 1
    assert (ranges.lows[0], ranges.highs[0]) == (0, 999_999)


def test_a_filled_gap_joins_its_neighbours():
    ranges = IdRanges.of(array([1, 2, 4, 5]))

    joined = ranges.union(IdRanges.of(array([3])))

    assert (len(ranges), len(joined)) == (2, 1)


def test_the_ends_of_int64_do_not_overflow():
    ends = IdRanges.of(array([LOWEST])).union(IdRanges.of(array([HIGHEST])))

    assert len(ends) == 2
    assert ends.contains(array([LOWEST, LOWEST + 1, 0, HIGHEST - 1, HIGHEST])).tolist() == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_two_sets_that_begin_at_the_lowest_number_share_a_range():
    lowest = IdRanges.of(array([LOWEST]))

    assert len(lowest.union(lowest)) == 1


RANGES = st.lists(st.tuples(NUMBER, st.integers(0, 6)), max_size=12)


@given(RANGES)
def test_ranges_that_overlap_and_touch_become_the_set_of_their_numbers(pairs):
    ends = [(low, min(low + size, HIGHEST)) for low, size in pairs]

    ranges = IdRanges.of_ranges(array([low for low, _ in ends]), array([high for _, high in ends]))

    assert members(ranges) == {n for low, high in ends for n in range(low, high + 1)}
    assert is_normal(ranges)


@given(NUMBERS, RANGES)
def test_a_count_is_how_many_numbers_of_a_range_are_in_the_set(numbers, pairs):
    ranges = IdRanges.of(array(numbers))
    ends = [(low, min(low + size, HIGHEST)) for low, size in pairs]

    counts = ranges.count(array([low for low, _ in ends]), array([high for _, high in ends]))

    assert counts.tolist() == [
        sum(low <= number <= high for number in set(numbers)) for low, high in ends
    ]

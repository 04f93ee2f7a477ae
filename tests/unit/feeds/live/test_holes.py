"""Numbers that did not come are known at the next one, and forgotten when they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2.feeds.live.holes import FINAL, MAX_HOLES, Hole, MarketNumbers

pytestmark = pytest.mark.unit


def missing(numbers: MarketNumbers) -> set[int]:
    return {n for hole in numbers.holes for n in range(hole.first, hole.last + 1)}


def test_the_first_number_shows_no_hole_before_it() -> None:
    numbers = MarketNumbers()

    found = numbers.take(500, 500, 1, 1)

    assert found is None
    assert numbers.holes == []


def test_a_hole_is_known_at_the_next_trade() -> None:
    numbers = MarketNumbers()
    numbers.take(500, 500, 11, 1)

    found = numbers.take(504, 504, 15, 2)

    assert found is not None
    assert (found.first, found.last, found.after_us, found.size) == (501, 503, 11, 3)


def test_a_heartbeat_shows_what_the_newest_trades_would_have() -> None:
    numbers = MarketNumbers()
    numbers.take(500, 500, 11, 1)

    numbers.expect(502, 2)

    assert missing(numbers) == {501, 502}
    assert numbers.expect(502, 3) is None


def test_a_settled_hole_keeps_its_reason_through_a_restart() -> None:
    numbers = MarketNumbers()
    numbers.take(1, 1, 0, 0)
    numbers.take(5, 5, 0, 0)

    numbers.settle(2, 4, "the history reaches back 48 hours")
    again = MarketNumbers.from_json(numbers.as_json())

    assert [(hole.state, hole.reason) for hole in again.holes] == [
        (FINAL, "the history reaches back 48 hours")
    ]
    assert again.open_holes() == []


def test_what_was_lost_on_the_way_is_missing_again() -> None:
    numbers = MarketNumbers()
    for number in range(1, 11):
        numbers.take(number, number, 0, 0)

    numbers.reopen(3, 5, 0, 0, "the spool was full")

    assert missing(numbers) == {3, 4, 5}


def test_holes_are_bounded_in_number_and_lose_nothing() -> None:
    numbers = MarketNumbers()
    for number in range(0, 2 * (MAX_HOLES + 50), 2):
        numbers.take(number, number, 0, 0)

    assert len(numbers.holes) <= MAX_HOLES
    assert missing(numbers) >= set(range(1, 2 * (MAX_HOLES + 49), 2))


@given(
    st.lists(
        st.tuples(st.integers(100, 160), st.integers(0, 4)).map(lambda p: (p[0], p[0] + p[1])),
        min_size=1,
        max_size=40,
    )
)
def test_what_is_missing_is_what_lies_between_and_never_came(ranges: list[tuple[int, int]]) -> None:
    numbers = MarketNumbers()

    for first, last in ranges:
        numbers.take(first, last, 0, 0)

    came = {n for first, last in ranges for n in range(first, last + 1)}
    assert missing(numbers) == set(range(ranges[0][0], max(came) + 1)) - came


def test_a_part_of_a_hole_can_be_final_and_the_rest_stays_open() -> None:
    numbers = MarketNumbers(100, 0, [Hole(10, 50, 1, 2, job="j")])

    numbers.settle(20, 29, "gone")

    assert [(h.first, h.last, h.state, h.job) for h in numbers.holes] == [
        *((10, 19, "open", "j"), (20, 29, "final", ""), (30, 50, "open", "j")),
    ]

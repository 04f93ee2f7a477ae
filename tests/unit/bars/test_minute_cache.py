"""Which batch may add to what is known, and what is forgotten."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from k2.bars.minute_cache import MinuteCache

pytestmark = pytest.mark.unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bars(*hours):
    """A bar in each of these hours."""
    starts = [EPOCH + timedelta(hours=hour, minutes=7) for hour in hours]
    return pa.table({"bar_start": pa.array(starts, pa.timestamp("us", "UTC"))})


def after(batch, *hours, most=100):
    """What is known after a batch of a bar in each of these hours."""
    known = MinuteCache(most)
    known.begin(batch)
    known.end(batch, bars(*hours), sorted(set(hours)))
    return known


def test_the_next_batch_knows_the_hours_of_the_last():
    known = after(4, 7, 8, 8)

    known.begin(5)

    assert [part.num_rows for part in known.of([6, 7, 8])] == [1, 2]
    assert 6 not in known


@pytest.mark.parametrize("batch", [3, 4, 6])
def test_any_other_batch_knows_nothing(batch):
    known = after(4, 7)

    known.begin(batch)

    assert 7 not in known


def test_a_batch_that_did_not_end_leaves_nothing():
    known = after(4, 7)
    known.begin(5)

    known.begin(5)

    assert 7 not in known


def test_an_hour_without_bars_is_known_too():
    known = after(4, 7)
    known.begin(5)
    known.end(5, bars(), [9])
    known.begin(6)

    assert 9 in known
    assert [part.num_rows for part in known.of([9])] == [0]


def test_of_too_many_bars_those_go_that_were_not_asked_for_longest():
    known = after(4, 1, 2, 3, most=3)
    known.begin(5)
    known.end(5, bars(1, 4), [1, 4])
    known.begin(6)

    assert [hour for hour in range(6) if hour in known] == [1, 3, 4]


def test_one_hour_of_too_many_bars_is_forgotten_itself():
    known = after(4, 1, 1, 1, most=2)
    known.begin(5)

    assert 1 not in known

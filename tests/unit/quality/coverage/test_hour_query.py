"""What an hour's trades show: the numbers that are there and the gaps, against counting them one by one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2.exchanges.kraken import KRAKEN
from k2.quality.coverage.full_blocks import SIZE, full_blocks, only_in
from k2.quality.coverage.hour_query import (
    HOUR,
    NO_RANGES,
    Span,
    islands,
    measuring,
    within,
)
from k2.sql import query

pytestmark = pytest.mark.unit

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
START = 1_000_000_007  # in the middle of a block
NOW = NOON + 2 * HOUR
SYMBOL = "BTC-USDT"


@dataclass(frozen=True)
class Fill:
    """A trade of the numbers ``first`` to ``last``."""

    first: int
    last: int
    at: datetime

    @property
    def is_inside(self) -> bool:
        return NOON <= self.at < NOON + HOUR


def silver(fills: list[Fill]) -> pa.Table:
    columns: dict[str, Any] = {
        "symbol": [SYMBOL] * len(fills),
        "timestamp": pa.array([fill.at for fill in fills], pa.timestamp("us", "UTC")),
        "instrument_type": ["spot"] * len(fills),
        "trade_conditions": pa.array([[] for _ in fills], pa.list_(pa.string())),
        "trade_id": [str(fill.first) for fill in fills],
        "first_trade_id": pa.array([fill.first for fill in fills], pa.int64()),
        "last_trade_id": pa.array([fill.last for fill in fills], pa.int64()),
        "partition": pa.array([0] * len(fills), pa.int32()),
        "offset": pa.array(range(len(fills)), pa.int64()),
        "ingestion_timestamp": pa.array([fill.at for fill in fills], pa.timestamp("us", "UTC")),
    }
    return pa.table(columns)


def ask(sql: str, **tables: pa.Table) -> list[dict[str, Any]]:
    return list(query(sql, **tables).to_pylist())


def measured(fills: list[Fill], elsewhere: list[Fill] | None = None) -> dict[str, Any]:
    tables, ranges = {"silver": silver(fills)}, NO_RANGES
    if elsewhere is not None:
        tables["others"] = silver(elsewhere)
        span = Span(SYMBOL, fills[0].first + 1, max(fill.last for fill in fills))
        ranges = within([span], islands(KRAKEN, "from others"))
    (row,) = ask(measuring(KRAKEN, NOON, NOW, "from silver", elsewhere=ranges), **tables)
    return row


@st.composite
def markets(draw: st.DrawFn) -> list[Fill]:
    """Trades in the order of their numbers: stretches of single fills and of ranges, with holes between them.

    Their times go through the hour from before it to after it, and some stand at the other side of its edge.
    """
    pieces = draw(
        st.lists(
            st.tuples(
                st.integers(1, 3 * SIZE), st.sampled_from([1, 1, 1, 2, 70]), st.integers(0, 70)
            ),
            min_size=1,
            max_size=8,
        )
    )
    ranges: list[tuple[int, int]] = []
    number = START
    for count, width, hole in pieces:
        for _ in range(count):
            ranges.append((number, number + width - 1))
            number += width
        number += hole
    begin, end = (draw(st.integers(0, len(ranges) - 1)) for _ in range(2))
    swapped = draw(st.sets(st.integers(0, len(ranges) - 1), max_size=3))
    fills = []
    for place, (first, last) in enumerate(ranges):
        is_inside = (min(begin, end) <= place <= max(begin, end)) != (place in swapped)
        outside = NOON - 20 * SECOND if place < begin else NOON + HOUR + 20 * SECOND
        at = NOON + 60 * SECOND if is_inside else outside
        fills.append(Fill(first, last, at + place * timedelta(milliseconds=1)))
    return fills


@settings(max_examples=100, deadline=None)
@given(markets())
def test_an_hour_is_measured_as_if_its_numbers_were_counted_one_by_one(fills: list[Fill]) -> None:
    inside = [fill for fill in fills if fill.is_inside]
    if not inside:
        return
    gaps = [
        (before.last + 1, after.first - 1, before.at, after.at)
        for before, after in pairwise(fills)
        if after.is_inside and after.first > before.last + 1
    ]

    row = measured(fills)

    assert (row["first_id"], row["last_id"]) == (inside[0].first, inside[-1].last)
    assert row["observed"] == sum(fill.last - fill.first + 1 for fill in inside)
    assert row["missing"] == sum(last - first + 1 for first, last, *_ in gaps)
    assert (row["gap_count"] or 0) == len(gaps)
    assert row["follows"] == (fills[0] != inside[0])
    assert row["trades"] == len(inside)
    found = [(gap["first"], gap["last"], gap["start"], gap["end"]) for gap in row["gaps"] or ()]
    assert sorted(found) == gaps


@settings(max_examples=50, deadline=None)
@given(markets())
def test_islands_are_the_ranges_without_a_hole(fills: list[Fill]) -> None:
    ranges: list[list[int]] = []
    for fill in fills:
        if ranges and ranges[-1][1] + 1 == fill.first:
            ranges[-1][1] = fill.last
        else:
            ranges.append([fill.first, fill.last])

    found = ask(islands(KRAKEN, "from silver"), silver=silver(fills))

    assert sorted([row["first"], row["last"]] for row in found) == ranges


def singles(numbers: range, at: datetime = NOON + 60 * SECOND) -> list[Fill]:
    return [Fill(n, n, at + (n - numbers[0]) * timedelta(milliseconds=1)) for n in numbers]


def test_a_gap_behind_numbers_of_another_hour_starts_at_the_hours_own_last_trade() -> None:
    fills = [*singles(range(1, 11)), *singles(range(15, 21), NOON + 90 * SECOND)]

    row = measured(fills, elsewhere=singles(range(11, 13), NOON + HOUR + 60 * SECOND))

    (gap,) = row["gaps"]
    assert (gap["first"], gap["last"]) == (13, 14)
    assert (gap["start"], gap["end"]) == (fills[9].at, fills[10].at)


@pytest.mark.parametrize(
    ("fills", "full"),
    [
        (singles(range(64, 128)), [1]),
        (singles(range(64, 127)), []),
        (singles(range(65, 128)), []),
        ([Fill(64, 127, NOON)], [1]),
        ([Fill(0, 63, NOON), *singles(range(64, 128))], [0, 1]),
        ([*singles(range(64, 127)), Fill(127, 130, NOON)], []),
        ([*singles(range(64, 96)), *singles(range(96, 128), NOON - 60 * SECOND)], []),
        ([*singles(range(64, 128)), Fill(70, 60, NOON)], []),
        (singles(range(-64, 0)), [-1]),
        (singles(range(2**63 - 64, 2**63)), [2**57 - 1]),
    ],
    ids=[
        *(
            "whole",
            "without its last",
            "without its first",
            "one range",
            "two",
            "a range goes beyond",
        ),
        *("two hours", "ends before it begins", "below zero", "the largest"),
    ],
)
def test_a_block_is_full_when_it_has_every_number(fills: list[Fill], full: list[int]) -> None:
    inside = f"\"timestamp\" >= timestamptz '{NOON.isoformat()}'"
    rows = "select *, first_trade_id as first, last_trade_id as last from silver"

    found = ask(full_blocks(rows, inside), silver=silver(fills))

    assert sorted(row["block"] for row in found) == full


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 4 * SIZE)), st.sets(st.integers(0, 4 * SIZE)))
def test_what_one_table_alone_has_is_found_by_partition_and_offset(
    ours: set[int], theirs: set[int]
) -> None:
    def places(offsets: set[int], partition: int) -> pa.Table:
        kinds = {"partition": pa.int32(), "offset": pa.int64()}
        rows = [(partition, n) for n in offsets] + [(partition + 1, n) for n in (0, 63, 64)]
        return pa.table(
            {
                name: pa.array([row[i] for row in rows], kind)
                for i, (name, kind) in enumerate(kinds.items())
            }
        )

    found = ask(only_in("from ours", "from theirs"), ours=places(ours, 0), theirs=places(theirs, 0))
    elsewhere = ask(
        only_in("from ours", "from theirs"), ours=places(ours, 0), theirs=places(theirs, 5)
    )

    assert sorted((row["partition"], row["offset"]) for row in found) == [
        (0, offset) for offset in sorted(ours - theirs)
    ]
    assert len(elsewhere) == len(ours) + 3

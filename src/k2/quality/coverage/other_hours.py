"""Numbers that a gap lacks and another hour has: trades are not always numbered in the order of their times."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.hour_facts import HourFacts, HourReader
from k2.quality.coverage.hour_query import Span
from k2.quality.coverage.ledger import Ledger, MarketKey
from k2.quality.coverage.timeline import hour_of

Extent = tuple[int, int]  # the smallest and the largest number

_FAR = timedelta(days=2)  # how far from a gap its numbers are looked for


def facts_of_hours(
    ledger: Ledger, reader: HourReader, hours: Sequence[datetime]
) -> Iterator[HourFacts]:
    """Yield the facts of an exchange's hours; what an hour lacks and another one has is not missing in it.

    Where trades are numbered in the order of their times each hour is read once.
    """
    found = {hour: reader.facts(hour) for hour in hours}
    with_gaps = [fact for facts in found.values() for fact in facts if fact.gap_count]
    extents = _extents(ledger, reader.exchange.name, found) if with_gaps else {}
    for hour, facts in found.items():
        others: set[datetime] = set()
        spans: list[Span] = []
        for fact in facts:
            if fact.gap_count and fact.first_id is not None and fact.last_id is not None:
                of_market = extents[fact.symbol].items()
                near = {h for h, e in of_market if _overlap(e, (fact.first_id, fact.last_id))}
                if near := near - {hour}:
                    others |= near
                    spans.append(Span(fact.symbol, fact.first_id + 1, fact.last_id))
        yield from reader.facts(hour, sorted(others), spans) if spans else facts


def _extents(
    ledger: Ledger, exchange: str, found: Mapping[datetime, Sequence[HourFacts]]
) -> dict[str, dict[datetime, Extent]]:
    """By market and hour the smallest and the largest number: of what was found, and near it of the ledger."""
    extents: dict[str, dict[datetime, Extent]] = defaultdict(dict)
    for row in ledger.rows(min(found) - _FAR, max(found) + _FAR, exchange):
        if row["first_id"] is not None and row["hour"] not in found:
            extents[row["symbol"]][row["hour"]] = (row["first_id"], row["last_id"])
    for hour, facts in found.items():
        for fact in facts:
            if fact.first_id is not None and fact.last_id is not None:
                extents[fact.symbol][hour] = (fact.first_id, fact.last_id)
    return extents


def _overlap(one: Extent, other: Extent) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def numbers_elsewhere(
    ledger: Ledger,
    reader: HourReader,
    market: MarketKey,
    hours: Sequence[HourFacts],
    gaps: Sequence[Gap],
) -> list[tuple[int, int]]:
    """Return ranges of the gaps' numbers that trades of other hours have.

    Only hours whose smallest and largest number say that they may have any are read: none, where
    trades are numbered in the order of their times.
    """
    extents = {
        fact.hour: (fact.first_id, fact.last_id)
        for fact in hours
        if fact.first_id is not None and fact.last_id is not None
    }
    first, last = min(gap.start for gap in gaps), max(gap.end for gap in gaps)
    for row in ledger.rows(first - _FAR, last + _FAR, *market):
        if row["first_id"] is not None:
            extents.setdefault(row["hour"], (row["first_id"], row["last_id"]))
    overlapping = [
        hour
        for hour, (start, end) in sorted(extents.items())
        if any(_may_have(gap, hour, start, end) for gap in gaps)
    ]
    if not overlapping:
        return []
    low = min(gap.first_id for gap in gaps if gap.first_id is not None)
    high = max(gap.last_id for gap in gaps if gap.last_id is not None)
    return reader.numbers_in(market[1], overlapping, low, high)


def _may_have(gap: Gap, hour: datetime, first: int, last: int) -> bool:
    if gap.first_id is None or gap.last_id is None or hour_of(gap.end) == hour:
        return False
    return first <= gap.last_id and gap.first_id <= last

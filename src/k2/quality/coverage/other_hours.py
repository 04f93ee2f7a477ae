"""Numbers that a gap lacks and another hour has: trades are not always numbered in the order of their times."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.hour_facts import HourFacts
from k2.quality.coverage.hour_query import Span
from k2.quality.coverage.hour_reader import Extent, HourReader
from k2.quality.coverage.ledger import Ledger, MarketKey
from k2.quality.coverage.timeline import hour_of

_FAR = timedelta(days=2)  # how far from a gap its numbers are looked for


def facts_of_hours(
    ledger: Ledger, reader: HourReader, hours: Sequence[datetime], unknown: Iterable[datetime] = ()
) -> Iterator[HourFacts]:
    """Yield the facts of an exchange's hours; what an hour lacks and another one has is not missing in it.

    ``unknown`` are hours that the ledger may not have yet. Where trades are numbered in the order of their
    times no hour is read beside another.
    """
    if not hours:
        return
    first, last = min(hours) - _FAR, max(hours) + _FAR
    near = [hour for hour in unknown if first <= hour <= last]
    of_hours = {hour: reader.extents(hour) for hour in {*hours, *near}}
    by_market: dict[str, dict[datetime, Extent]] = defaultdict(dict)
    for row in ledger.rows(first, last, reader.exchange.name):
        if row["first_id"] is not None:
            by_market[row["symbol"]][row["hour"]] = (row["first_id"], row["last_id"])
    for hour, of_markets in of_hours.items():
        for symbol, extent in of_markets.items():
            by_market[symbol][hour] = extent
    for hour in hours:
        others: set[datetime] = set()
        spans: list[Span] = []
        for symbol, (low, high) in of_hours[hour].items():
            beside = by_market[symbol].items()
            if found := {h for h, e in beside if h != hour and _overlap(e, (low, high))}:
                others |= found
                spans.append(Span(symbol, low + 1, high))
        yield from reader.facts(hour, sorted(others), spans)


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
    return _overlap((first, last), (gap.first_id, gap.last_id))

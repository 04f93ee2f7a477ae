"""The rows of one market, hour after hour: gaps between its hours, and what condition each hour is in."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from k2.quality.coverage.gaps import Acceptance, Gap, repaired, with_history, without
from k2.quality.coverage.hour_facts import HourFacts
from k2.quality.coverage.hour_query import HOUR, SETTLE, is_settled
from k2.quality.coverage.side_records import SideRecords
from k2.quality.coverage.states import Cause, Condition, GapState
from k2.quality.coverage.table import MAX_GAPS

Row = dict[str, Any]
Classify = Callable[[Gap], Cause]
FindPresent = Callable[[Sequence[Gap]], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Market:
    """One market: its hours with trades in order, and what is known besides.

    ``stored`` are the ledger's rows by hour. ``side`` are recounted hours; of others the stored
    counts stay. ``until`` is the hour up to which there are to be rows; ``alive`` are the hours
    in which the exchange brought any trade. ``find_present`` gives ranges of numbers, of those of gaps,
    that trades of other hours have: trades are not always numbered in the order of their times.
    """

    exchange: str
    symbol: str
    hours: Sequence[HourFacts]
    stored: Mapping[datetime, Row]
    side: Mapping[datetime, SideRecords]
    accepted: Sequence[Acceptance]
    until: datetime
    now: datetime
    classify: Classify
    is_numbered: bool
    alive: Set[datetime]
    find_present: FindPresent = lambda _gaps: ()


def facts_of(row: Row) -> HourFacts:
    """Return the facts that a stored row was made of. Gaps that end later are left out."""
    hour: datetime = row["hour"]
    gaps = [Gap.from_row(gap) for gap in row["gaps"]]
    ending = tuple(
        gap for gap in gaps if gap.state is not GapState.REPAIRED and hour_of(gap.end) == hour
    )
    return HourFacts(
        symbol=row["symbol"],
        hour=hour,
        trades=row["trades"],
        gold_trades=row["gold_trades"],
        late=row["late"],
        observed=row["observed"],
        missing=row["missing"],
        first_id=row["first_id"],
        last_id=row["last_id"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        silence_seconds=row["silence_seconds"],
        gaps=ending,
        gap_count=row["gap_count"],
    )


def rows_of(market: Market) -> list[Row]:
    """Return the market's rows from its first hour with trades to ``until``, every hour one."""
    before = _known_gaps(market)
    facts, gaps = _with_boundaries(market, before)
    by_hour = {fact.hour: fact for fact in facts}
    listed: dict[datetime, list[Gap]] = defaultdict(list)
    for gap in gaps:
        for hour in hours_between(gap.start, gap.end):
            listed[hour].append(gap)
    for gap in repaired(before, gaps):
        listed[hour_of(gap.end)].append(gap)
    sided = {hour for hour, of in market.side.items() if of != SideRecords()}
    hours = {*by_hour, *sided}
    if by_hour:
        hours |= set(hours_between(min(by_hour), max(market.until, max(by_hour))))
    return [_row(market, hour, by_hour.get(hour), listed[hour], facts) for hour in sorted(hours)]


def hour_of(moment: datetime) -> datetime:
    """Return the hour that a moment is in, UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the hours from that of one moment to that of another, both included."""
    hour = hour_of(first)
    while hour <= last:
        yield hour
        hour += HOUR


def _with_boundaries(market: Market, before: Sequence[Gap]) -> tuple[list[HourFacts], list[Gap]]:
    """Find the gaps between the hours; return the facts that count them, and all gaps."""
    facts: list[HourFacts] = []
    gaps: list[Gap] = []
    newest: HourFacts | None = None  # the hour before with numbers
    for place, fact in enumerate(market.hours):
        own, missing, count = list(fact.gaps), fact.missing, fact.gap_count
        if place and newest is not None and fact.first_id is not None and not fact.follows:
            assert newest.last_id is not None  # noqa: S101 — it has numbers
            if newest.last_id < fact.first_id:
                known = [gap for gap in own if gap.last_id == fact.first_id - 1]
                is_counted = bool(known) or count > len(own)  # not named where there are too many
                own = [gap for gap in own if gap not in known]
                missing, count = missing - sum(gap.size for gap in known), count - len(known)
                if newest.last_id + 1 < fact.first_id and fact.first_at + SETTLE <= market.now:
                    gap = _between(newest, fact)
                    own.insert(0, gap)
                    if known or not is_counted:
                        missing, count = missing + gap.size, count + 1
        if place:
            own = [gap for gap in own if gap.first_id is not None]
        if place and not market.is_numbered and fact.hour - market.hours[place - 1].hour > HOUR:
            gaps.append(_between(market.hours[place - 1], fact))
        facts.append(replace(fact, gaps=tuple(own), missing=missing, gap_count=count))
        gaps += own
        if fact.last_id is not None and (
            newest is None or newest.last_id is None or fact.last_id >= newest.last_id
        ):
            newest = fact
    numbered = [gap for gap in gaps if gap.first_id is not None]
    if numbered and (present := market.find_present(numbered)):
        facts = [_without_present(fact, present) for fact in facts]
        gaps = [gap for gap in gaps if gap.first_id is None]
        gaps += [gap for fact in facts for gap in fact.gaps]
    return facts, [_told(market, gap, before) for gap in gaps]


def _without_present(fact: HourFacts, present: Sequence[tuple[int, int]]) -> HourFacts:
    left = [part for gap in fact.gaps for part in without(gap, present)]
    before, after = (sum(gap.size for gap in of) for of in (fact.gaps, left))
    return replace(
        fact,
        gaps=tuple(left),
        missing=fact.missing - before + after,
        gap_count=fact.gap_count - len(fact.gaps) + len(left),
    )


def _between(one: HourFacts, other: HourFacts) -> Gap:
    first = last = None
    if one.last_id is not None and other.first_id is not None:
        first, last = one.last_id + 1, other.first_id - 1
    return Gap(first, last, one.last_at, other.first_at)


def _told(market: Market, gap: Gap, before: Sequence[Gap]) -> Gap:
    plain = replace(gap, state=GapState.OPEN, reason="", found_at=None)
    found = with_history(plain, before, market.accepted, market.now)
    return replace(found, cause=market.classify(found))


def _known_gaps(market: Market) -> list[Gap]:
    known = [Gap.from_row(gap) for row in market.stored.values() for gap in row["gaps"]]
    return list(dict.fromkeys(known))


def _row(
    market: Market,
    hour: datetime,
    fact: HourFacts | None,
    gaps: Sequence[Gap],
    facts: Sequence[HourFacts],
) -> Row:
    stored = market.stored.get(hour)
    side = market.side.get(hour)
    if side is None:
        side = (
            SideRecords(stored["duplicates"], stored["dead_letters"]) if stored else SideRecords()
        )
    missing = fact.missing if fact else 0
    observed = fact.observed if fact else (0 if market.is_numbered else None)
    largest = sorted(gaps, key=lambda gap: (gap.state is GapState.REPAIRED, -gap.size))[:MAX_GAPS]
    return {
        "exchange": market.exchange,
        "symbol": market.symbol,
        "hour": hour,
        "condition": str(_condition(market, hour, fact, gaps, facts, side)),
        "trades": fact.trades if fact else 0,
        "gold_trades": fact.gold_trades if fact else 0,
        "observed": observed,
        "expected": None if observed is None else observed + missing,
        "missing": missing,
        "first_id": fact.first_id if fact else None,
        "last_id": fact.last_id if fact else None,
        "first_at": fact.first_at if fact else None,
        "last_at": fact.last_at if fact else None,
        "gaps": [gap.as_row() for gap in sorted(largest, key=lambda gap: (gap.start, gap.end))],
        "gap_count": fact.gap_count if fact else 0,
        "duplicates": side.duplicates,
        "dead_letters": side.dead_letters,
        "late": fact.late if fact else 0,
        "silence_seconds": fact.silence_seconds if fact else _silence(market, hour),
        "updated_at": market.now,
        "day": hour.date(),
    }


def _condition(
    market: Market,
    hour: datetime,
    fact: HourFacts | None,
    gaps: Sequence[Gap],
    facts: Sequence[HourFacts],
    side: SideRecords,
) -> Condition:
    now_missing = [gap for gap in gaps if gap.state is not GapState.REPAIRED]
    if not facts:  # of no market, or of one without any trade
        return Condition.DEGRADED if side.dead_letters else Condition.AVAILABLE
    if not is_settled(hour, market.now):
        return Condition.PENDING
    if fact is None:
        if now_missing:
            is_open = any(gap.is_open for gap in now_missing)
            return Condition.MISSING if is_open else Condition.AVAILABLE
        if hour < facts[-1].hour:  # a trade after it, and no number between them
            return Condition.AVAILABLE
        return Condition.PENDING if hour in market.alive else Condition.MISSING
    # Of a market without numbers only an empty hour says that something may be missing.
    numbered = [gap for gap in now_missing if gap.first_id is not None]
    is_open = any(gap.is_open for gap in numbered) or fact.gap_count > MAX_GAPS
    is_behind = fact.gold_trades < fact.trades
    return Condition.DEGRADED if is_open or is_behind or side.dead_letters else Condition.AVAILABLE


def _silence(market: Market, hour: datetime) -> float:
    return max((min(hour + HOUR, market.now) - hour).total_seconds(), 0.0)


def new_gaps(rows: Iterable[Row], since: datetime) -> list[tuple[Row, Gap]]:
    """Return the open gaps with numbers that were found after a time, each once, with a row of theirs."""
    found: dict[tuple[str, str, int], tuple[Row, Gap]] = {}
    for row in rows:
        for content in row["gaps"]:
            gap = Gap.from_row(content)
            is_new = gap.found_at is not None and gap.found_at > since
            if gap.is_open and gap.first_id is not None and is_new:
                found.setdefault((row["exchange"], row["symbol"], gap.first_id), (row, gap))
    return list(found.values())

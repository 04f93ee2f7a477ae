"""Brings the ledger up to date: the hours that changed are computed again, and their rows replaced."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import groupby

from k2.exchanges import EXCHANGES, Exchange
from k2.gold.table import GOLD_TRADES
from k2.quality.coverage.changes import changed_hours
from k2.quality.coverage.feed_events import FeedEvents
from k2.quality.coverage.hour_facts import HourFacts
from k2.quality.coverage.hour_query import HOUR
from k2.quality.coverage.hour_reader import HourReader
from k2.quality.coverage.hours_due import HoursDue
from k2.quality.coverage.ledger import Ledger, MarketKey, changed_rows
from k2.quality.coverage.other_hours import facts_of_hours, numbers_elsewhere
from k2.quality.coverage.side_records import NO_MARKET, SideRecords, side_records
from k2.quality.coverage.states import Condition
from k2.quality.coverage.timeline import Market, Row, facts_of, hour_of, rows_of
from k2.quality.offset_blocks import spilling_database
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions

# An hour of seven million trades takes half of it; one of a million that are numbered without an order
# is sorted in it, and with a half of it twice as much time goes to spilling.
_MEMORY = "512MB"
# A file's time is that of before its commit, on the clock of whoever wrote it.
_COMMITS_TAKE = timedelta(minutes=5)
_FOLLOWED = timedelta(days=7)  # that a market without trades keeps getting rows
_LOOKED_BACK = timedelta(hours=24)  # for rows that are not final


@dataclass
class CoverageUpdate:
    """One update of a home's ledger, whose lock the caller holds, as of ``now``."""

    settings: Settings
    now: datetime
    exchanges: Sequence[Exchange] = EXCHANGES
    ledger: Ledger = field(init=False)
    _readers: dict[str, HourReader] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.settings.lake)

    def run(self, since: datetime) -> list[Row]:
        """Compute what was written after ``since``, and what was not final; return the new rows.

        A day at a time: each is committed by itself, so that a run that dies has lost one day at most.
        An hour that is over is computed every twenty minutes at most, however often late trades touch it.
        """
        written = since - _COMMITS_TAKE
        trades = changed_hours(self.settings, [GOLD_TRADES], "timestamp", written)
        side = {
            exchange.name: changed_hours(
                self.settings,
                [table(exchange) for table in (dead_letters, duplicates, resolutions)],
                "kafka_timestamp",
                written,
            )
            for exchange in self.exchanges
        }
        due = HoursDue(self.settings, self.now)
        trades = due.of(trades, self._unfinished())
        today = hour_of(self.now).date()
        days = {hour.date() for hours in (trades, *side.values()) for hour in hours} | {today}
        rows: list[Row] = []
        with self._reading():
            for day in sorted(days):
                rows += self._update_day(
                    {hour for hour in trades if hour.date() == day},
                    {name: {h for h in hours if h.date() == day} for name, hours in side.items()},
                    day == today,
                    trades | due.waiting,
                )
        due.keep(trades)
        return rows

    def reconsider(self, market: MarketKey, since: datetime, until: datetime) -> list[Row]:
        """Make the rows of a market's hours again without its trades: something was accepted."""
        with self._reading():
            return self._assemble({}, {}, since, until, only={market})

    def _unfinished(self) -> set[datetime]:
        rows = self.ledger.rows(self.now - _LOOKED_BACK, hour_of(self.now))
        return {
            row["hour"]
            for row in rows
            if row["trades"]
            and (row["condition"] == Condition.PENDING or row["gold_trades"] < row["trades"])
        }

    def _update_day(
        self,
        hours: set[datetime],
        side_hours: Mapping[str, set[datetime]],
        is_today: bool,
        changed: set[datetime],
    ) -> list[Row]:
        facts: dict[MarketKey, list[HourFacts]] = defaultdict(list)
        for reader in self._readers.values():
            for fact in facts_of_hours(self.ledger, reader, sorted(hours), changed):
                facts[reader.exchange.name, fact.symbol].append(fact)
        side: dict[MarketKey, dict[datetime, SideRecords]] = defaultdict(dict)
        recounted: dict[str, set[datetime]] = defaultdict(set)
        for exchange in self.exchanges:
            for hour in sorted(side_hours.get(exchange.name, ())):
                recounted[exchange.name].add(hour)
                for symbol, found in self._side_records(exchange, hour, facts).items():
                    side[exchange.name, symbol][hour] = found
        first = min([*hours, *(h for of in recounted.values() for h in of)], default=None)
        last = max([*hours, *(h for of in recounted.values() for h in of)], default=None)
        if is_today:
            first = min(first or hour_of(self.now), hour_of(self.now - _LOOKED_BACK))
            last = hour_of(self.now)
        if first is None or last is None:
            return []
        return self._assemble(facts, side, first, last, recounted, hours)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with spilling_database(self.settings.run / "spill", _MEMORY) as database:
            self._readers = {
                exchange.name: HourReader(self.settings, exchange, self.now, database)
                for exchange in self.exchanges
            }
            yield

    def _side_records(
        self, exchange: Exchange, hour: datetime, facts: Mapping[MarketKey, list[HourFacts]]
    ) -> dict[str, SideRecords]:
        known = {
            symbol
            for (name, symbol), of in facts.items()
            if name == exchange.name and any(fact.hour == hour for fact in of)
        }
        if not known:
            stored = self.ledger.rows(hour, hour, exchange.name)
            known = {row["symbol"] for row in stored if row["trades"]}
        return side_records(self.settings, exchange, hour, frozenset(known))

    def _assemble(
        self,
        facts: Mapping[MarketKey, list[HourFacts]],
        side: Mapping[MarketKey, Mapping[datetime, SideRecords]],
        first: datetime,
        last: datetime,
        recounted: Mapping[str, set[datetime]] | None = None,
        computed: Iterable[datetime] = (),
        only: set[MarketKey] | None = None,
    ) -> list[Row]:
        """Make the rows of the hours from ``first`` to ``last``, and those that change beside them."""
        gone = set(computed)
        touched = only or {*facts, *side}
        if only is None:
            for row in self.ledger.rows(first, last):
                is_counted = row["hour"] in (recounted or {}).get(row["exchange"], ())
                if row["hour"] in gone or is_counted:
                    touched.add((row["exchange"], row["symbol"]))
        before = self.ledger.hour_with_trades(first)
        if only is None and last >= hour_of(self.now):
            touched |= {m for m, hour in before.items() if hour >= self.now - _FOLLOWED}
        after = self.ledger.hour_with_trades(last, after=True)
        since = min([first, *(before[m] for m in touched if m in before)])
        until = max([last, *(after[m] for m in touched if m in after)])
        stored_rows = self.ledger.rows(since, until)
        stored: dict[MarketKey, dict[datetime, Row]] = defaultdict(dict)
        for row in stored_rows:
            stored[row["exchange"], row["symbol"]][row["hour"]] = row
        alive = _alive(facts, stored_rows)
        events = FeedEvents.read(self.settings.lake, since - HOUR)
        accepted = self.ledger.acceptances()
        rows: list[Row] = []
        for market in sorted(m for m in touched if m[0] in self._readers):
            old = stored.get(market, {})
            counted = {
                hour: side.get(market, {}).get(hour, SideRecords())
                for hour in (recounted or {}).get(market[0], ())
                if hour in side.get(market, {}) or hour in old or _has(facts, market, hour)
            }
            hours = _hours_with_trades(facts.get(market, []), old, gone)
            end = hour_of(self.now) if last >= hour_of(self.now) else last
            is_followed = bool(hours) and hours[-1].hour >= self.now - _FOLLOWED
            rows += rows_of(
                Market(
                    exchange=market[0],
                    symbol=market[1],
                    hours=hours,
                    stored=old,
                    side=counted,
                    accepted=accepted.get(market, ()),
                    until=end if is_followed and market[1] != NO_MARKET else first,
                    now=self.now,
                    classify=partial(events.cause, *market),
                    is_numbered=any(fact.observed is not None for fact in hours),
                    alive=alive[market[0]],
                    find_present=partial(
                        numbers_elsewhere, self.ledger, self._readers[market[0]], market, hours
                    ),
                )
            )
        changed = changed_rows(rows, stored_rows)
        for _, of_day in groupby(sorted(changed, key=_day), key=_day):
            self.ledger.replace(list(of_day))
        return changed


def _hours_with_trades(
    computed: Sequence[HourFacts], stored: Mapping[datetime, Row], gone: set[datetime]
) -> list[HourFacts]:
    """The market's hours with trades: computed ones, and between them those of the ledger."""
    hours = {h: facts_of(row) for h, row in stored.items() if row["trades"] and h not in gone}
    hours |= {fact.hour: fact for fact in computed}
    return [hours[hour] for hour in sorted(hours)]


def _alive(
    facts: Mapping[MarketKey, list[HourFacts]], stored: Iterable[Row]
) -> dict[str, set[datetime]]:
    """The hours in which each exchange brought trades."""
    known: dict[str, set[datetime]] = defaultdict(set)
    for row in stored:
        if row["trades"]:
            known[row["exchange"]].add(row["hour"])
    for (name, _), of in facts.items():
        known[name] |= {fact.hour for fact in of}
    return known


def _has(facts: Mapping[MarketKey, list[HourFacts]], market: MarketKey, hour: datetime) -> bool:
    return any(fact.hour == hour for fact in facts.get(market, ()))


def _day(row: Row) -> date:
    day: date = row["day"]
    return day

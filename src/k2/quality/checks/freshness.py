"""Freshness: an exchange or a market that is silent for longer than it ever is at this hour."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import Finding, Tables, Window
from k2.quality.coverage.table import OPS_COVERAGE
from k2.sql import query
from k2.storage.scan import scan_table

_LEARNT = timedelta(days=15)
_LEAST_TRADES = 30  # before a market has a habit
_RECENT = timedelta(minutes=15)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_WEEK_HOURS = 168

MarketKey = tuple[str, str]


def check_freshness(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return how long each exchange and each market is silent.

    A market's habit is its longest silence that touched this hour of the week, learnt from two weeks of
    the coverage ledger; it may be silent for ``times`` that long, and for ``market_seconds`` in any
    case. An exchange may be silent for ``exchange_seconds``. What brought nothing within a day is not
    looked at. Of Gold only the newest minutes are read.
    """
    ledger = _ledger(tables, window)
    newest = _newest(tables, window, ledger)
    habits = _habits(ledger, window.now)
    found = []
    silences: dict[str, list[float]] = defaultdict(list)
    for (name, symbol), moment in sorted(newest.items()):
        silent = max((window.now - moment).total_seconds(), 0.0)
        if silent < _DAY.total_seconds():
            silences[name].append(silent)
            habit = habits.get((name, symbol))
            found.append(_of_market(name, symbol, silent, habit, limits))
    for exchange in tables.exchanges:
        if of := silences[exchange.name]:
            found.append(
                Finding(
                    exchange=exchange.name,
                    message=f"no trade of {exchange.title} for {min(of):.0f} s",
                    value=min(of),
                    threshold=limits["exchange_seconds"],
                    count=len(of),
                )
            )
    return found


def _of_market(
    exchange: str, symbol: str, silent: float, habit: float | None, limits: Mapping[str, float]
) -> Finding:
    known = "it has no habit yet" if habit is None else f"its habit is {habit:.0f} s"
    return Finding(
        exchange=exchange,
        symbol=symbol,
        message=f"no trade of {symbol} for {silent:.0f} s; {known}",
        value=silent if habit is not None else 0.0,
        threshold=max((habit or 0.0) * limits["times"], limits["market_seconds"]),
    )


def _ledger(tables: Tables, window: Window) -> list[dict[str, Any]]:
    since = window.now - _LEARNT
    rows = scan_table(
        tables.lake,
        OPS_COVERAGE,
        ["exchange", "symbol", "hour", "trades", "first_at", "last_at", "silence_seconds"],
        [("day", ">=", since.astimezone(UTC).date()), ("hour", ">=", since), ("trades", ">", 0)],
    )
    return list(rows.table().sort_by("hour").to_pylist())


def _newest(
    tables: Tables, window: Window, ledger: Iterable[Mapping[str, Any]]
) -> dict[MarketKey, datetime]:
    """Each market's newest trade: by the broker in the newest minutes, before them by the ledger."""
    names = {exchange.name for exchange in tables.exchanges}
    newest: dict[MarketKey, datetime] = {}
    for row in ledger:
        if row["exchange"] in names:
            newest[row["exchange"], row["symbol"]] = min(row["last_at"], window.now)
    # A home without a ledger is rare, and then a day is looked through.
    since = window.now - (_RECENT if newest else _DAY)
    rows = scan_table(
        tables.lake,
        GOLD_TRADES,
        ["exchange", "symbol", "kafka_timestamp"],
        [
            ("kafka_timestamp", ">", since),
            ("kafka_timestamp", "<=", window.now),
            ("exchange", "in", sorted(names)),
        ],
    )
    for row in query(
        f"select exchange, symbol, max(kafka_timestamp) as at from ({rows.sql}) group by all"  # noqa: S608
    ).to_pylist():
        newest[row["exchange"], row["symbol"]] = row["at"]
    return newest


def _habits(ledger: Iterable[Mapping[str, Any]], now: datetime) -> dict[MarketKey, float]:
    """Each market's longest silence that touched this hour of the week; of any hour where none is known."""
    trades: dict[MarketKey, int] = defaultdict(int)
    here: dict[MarketKey, list[float]] = defaultdict(list)
    anywhere: dict[MarketKey, list[float]] = defaultdict(list)
    last: dict[MarketKey, datetime] = {}
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for row in ledger:
        market = row["exchange"], row["symbol"]
        trades[market] += row["trades"]
        before = last.get(market)
        last[market] = row["last_at"]
        if row["hour"] >= this_hour:
            continue  # what is going on now is no habit
        silences = [(row["hour"], row["hour"], row["silence_seconds"])]
        if before is not None:
            between = (row["first_at"] - before).total_seconds()
            silences.append((before, row["first_at"], between))
        for start, end, seconds in silences:
            anywhere[market].append(seconds)
            if _touches(start, end, this_hour):
                here[market].append(seconds)
    return {
        market: max(here[market] or anywhere[market])
        for market, count in trades.items()
        if count >= _LEAST_TRADES and anywhere[market]
    }


def _touches(start: datetime, end: datetime, hour: datetime) -> bool:
    """Whether a time from ``start`` to ``end`` has a part in this hour of any week before."""
    first = int(start.timestamp() // _HOUR.total_seconds())
    last = int(end.timestamp() // _HOUR.total_seconds())
    wanted = int(hour.timestamp() // _HOUR.total_seconds()) % _WEEK_HOURS
    return (wanted - first) % _WEEK_HOURS <= last - first

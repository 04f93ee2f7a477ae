"""Freshness: an exchange or a market that is silent for longer than it ever is at this hour."""

from collections.abc import Mapping
from datetime import timedelta

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import Finding, Tables, Window
from k2.sql import query
from k2.storage.scan import scan_table

_LEARNT = timedelta(days=14)
_LEAST_MINUTES = 30  # with a trade, before a market has a habit


def check_freshness(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return how long each exchange and each market is silent, by the broker's time.

    A market's habit is its longest silence in this hour of the week, learnt from two weeks of Gold; it
    may be silent for ``times`` that long, and for ``market_seconds`` in any case. An exchange may be silent
    for ``exchange_seconds``. What brought nothing within a day is not looked at.
    """
    rows = scan_table(
        tables.lake,
        GOLD_TRADES,
        ["exchange", "symbol", "kafka_timestamp"],
        [
            ("kafka_timestamp", ">", window.now - _LEARNT),
            ("kafka_timestamp", "<=", window.now),
            ("exchange", "in", [exchange.name for exchange in tables.exchanges]),
        ],
    )
    now_us = int(window.now.timestamp() * 1e6)
    silences = query(f"""
        with minutes as (
            select exchange, symbol, epoch_us(kafka_timestamp) // 60000000 as minute,
                   max(epoch_us(kafka_timestamp)) as newest
            from ({rows.sql}) group by all
        ), steps as (
            select *, minute - lag(minute) over (partition by exchange, symbol order by minute)
                   as silent
            from minutes
        )
        select exchange, symbol, count(*) as minutes,
               ({now_us} - max(newest)) / 1e6 as silent,
               coalesce(max(silent) filter (
                   (minute // 60) % 168 = ({now_us} // 3600000000) % 168
               ), max(silent), 0) * 60 as habit
        from steps group by all order by exchange, symbol
        """).to_pylist()  # noqa: S608 — our own SQL
    found = [_of_market(row, limits) for row in silences if row["silent"] < 86_400]
    for exchange in tables.exchanges:
        newest = [row["silent"] for row in silences if row["exchange"] == exchange.name]
        if newest and min(newest) < 86_400:
            silent = min(newest)
            found.append(
                Finding(
                    exchange=exchange.name,
                    message=f"no trade of {exchange.title} for {silent:.0f} s",
                    value=silent,
                    threshold=limits["exchange_seconds"],
                    count=len(newest),
                )
            )
    return found


def _of_market(row: Mapping[str, object], limits: Mapping[str, float]) -> Finding:
    silent, habit = float(str(row["silent"])), float(str(row["habit"]))
    has_habit = int(str(row["minutes"])) >= _LEAST_MINUTES
    allowed = max(habit * limits["times"], limits["market_seconds"])
    return Finding(
        exchange=str(row["exchange"]),
        symbol=str(row["symbol"]),
        message=f"no trade of {row['symbol']} for {silent:.0f} s; its habit is {habit:.0f} s",
        value=silent if has_habit else 0.0,
        threshold=allowed,
    )

"""Duplicates that came through: a trade that a table has twice, by its name or by its number."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import MAX_KEYS, Finding, Tables, Window
from k2.silver.tables import silver_trades
from k2.sql import query
from k2.storage.file_pruning import Condition
from k2.storage.scan import Scan, scan_table

_COLUMNS = [
    *("exchange", "symbol", "message_id", "trade_id", "timestamp", "trade_conditions"),
    *("topic", "partition", "offset"),
]
_HOUR = timedelta(hours=1)
_MARKET_ID = "symbol, trade_id"
_NUMBER = "exchange, symbol, trade_id, trade_conditions"


def check_repeated_trades(
    tables: Tables, window: Window, limits: Mapping[str, float]
) -> list[Finding]:
    """Return for each exchange the trades that Silver or Gold has more than once.

    Those of the window are compared with all rows of their hours, by ``message_id`` and, where the
    exchange numbers its trades, by market and ``trade_id``. A table that has the same record twice is
    found by the balance.
    """
    found = []
    for exchange in tables.exchanges:
        keys: list[str] = []
        rows = 0
        for table in (silver_trades(exchange), GOLD_TRADES):
            of_exchange: list[Condition] = [("exchange", "=", exchange.name)]
            recent = scan_table(tables.lake, table, _COLUMNS, [*of_exchange, *window.conditions()])
            total, hours = _extent(recent)
            rows += total
            for first, end in _ranges(hours):
                between: list[Condition] = [("timestamp", ">=", first), ("timestamp", "<", end)]
                everything = scan_table(tables.lake, table, _COLUMNS, [*of_exchange, *between])
                keys += [f"{table.name}: {key}" for key in _twice(recent, everything)]
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"{len(keys)} trades are there more than once, of {rows} looked at",
                value=float(len(keys)),
                threshold=limits["most"],
                count=len(keys),
                total=rows,
                keys=keys[:MAX_KEYS],
            )
        )
    return found


def _extent(rows: Scan) -> tuple[int, list[datetime]]:
    """How many rows there are, and the hours that they happened in."""
    found = query(
        "select date_trunc('hour', \"timestamp\") as hour, count(*) as n"  # noqa: S608
        f" from ({rows.sql}) group by all order by hour"
    )
    return sum(found["n"].to_pylist()), found["hour"].to_pylist()


def _ranges(hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """Hours in order as ranges: a trade that came days late must not have the days between read."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = ranges[-1][0], hour + _HOUR
        else:
            ranges.append((hour, hour + _HOUR))
    return ranges


def _twice(recent: Scan, everything: Scan) -> list[str]:
    if not any(
        _has_repeated(recent, everything, columns) for columns in ("message_id", _MARKET_ID)
    ):
        return []
    found = query(f"""
        with recent as (select * from ({recent.sql})),
            every_one as not materialized (select * from ({everything.sql}))
        select distinct message_id as key from every_one
        where message_id in (select message_id from recent)
        group by message_id having count(distinct (topic, "partition", "offset")) > 1
        union
        select distinct any_value(symbol || ' ' || trade_id) from every_one
        where (exchange, symbol, trade_id) in (select (exchange, symbol, trade_id) from recent)
          and regexp_full_match(trade_id, '[0-9]+')
        group by {_NUMBER} having count(*) > 1 and count(distinct message_id) > 1
        order by key
        """)  # noqa: S608 — our own SQL
    return list(found["key"].to_pylist())


def _has_repeated(recent: Scan, everything: Scan, columns: str) -> bool:
    """Whether rows share values with a recent one, which nearly always none do: few columns are read for it."""
    found = query(f"""
        select 1 from ({everything.sql}) semi join ({recent.sql}) using ({columns})
        group by {columns} having count(*) > 1 limit 1
        """)  # noqa: S608 — our own SQL
    return bool(found.num_rows)

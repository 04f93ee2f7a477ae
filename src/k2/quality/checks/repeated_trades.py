"""Duplicates that came through: a trade that a table has twice, by its name or by its number."""

from collections.abc import Mapping

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import MAX_KEYS, Finding, Tables, Window
from k2.silver.tables import silver_trades
from k2.sql import query
from k2.storage.scan import Scan, scan_table

_COLUMNS = ["exchange", "symbol", "message_id", "trade_id", "timestamp"]
_NUMBER = "exchange, symbol, trade_id, trade_conditions"


def check_repeated_trades(
    tables: Tables, window: Window, limits: Mapping[str, float]
) -> list[Finding]:
    """Return for each exchange the trades that Silver or Gold has more than once.

    Those of the window are compared with all rows of their days, by ``message_id`` and, where the
    exchange numbers its trades, by market and ``trade_id``.
    """
    found = []
    for exchange in tables.exchanges:
        keys: list[str] = []
        rows = 0
        for table in (silver_trades(exchange), GOLD_TRADES):
            wanted = [*_COLUMNS, "trade_conditions"]
            of_exchange = [("exchange", "=", exchange.name)]
            recent = scan_table(
                tables.lake,
                table,
                wanted,
                [
                    *of_exchange,
                    *window.conditions(),
                ],
            )
            total, first, last = _extent(recent)
            rows += total
            if not total:
                continue
            days = [*of_exchange, ("timestamp", ">=", first), ("timestamp", "<=", last)]
            everything = scan_table(tables.lake, table, wanted, days)
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


def _extent(rows: Scan) -> tuple[int, object, object]:
    (row,) = query(
        f'select count(*) as n, min("timestamp") as a, max("timestamp") as b from ({rows.sql})'  # noqa: S608
    ).to_pylist()
    return row["n"], row["a"], row["b"]


def _twice(recent: Scan, everything: Scan) -> list[str]:
    found = query(f"""
        with recent as (select * from ({recent.sql})), every_one as (select * from ({everything.sql}))
        select distinct message_id as key from every_one
        where message_id in (select message_id from recent)
        group by message_id having count(*) > 1
        union
        select distinct any_value(symbol || ' ' || trade_id) from every_one
        where (exchange, symbol, trade_id) in (select (exchange, symbol, trade_id) from recent)
          and regexp_full_match(trade_id, '[0-9]+')
        group by {_NUMBER} having count(*) > 1 and count(distinct message_id) > 1
        order by key
        """)  # noqa: S608 — our own SQL
    return list(found["key"].to_pylist())

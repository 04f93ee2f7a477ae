"""Dead letters: their share of what came, and reasons that were not there before."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.quality.checks.check import MAX_KEYS, Finding, Tables, Window
from k2.silver.tables import dead_letters
from k2.sql import query
from k2.storage.scan import scan_table

_BEFORE = timedelta(days=1)  # in which a reason counts as known


def check_dead_letters(
    tables: Tables, window: Window, limits: Mapping[str, float]
) -> list[Finding]:
    """Return for each exchange the share of dead letters, and each reason that is new.

    A reason is new when the day before the window had none of it and the window has at least
    ``new_reason`` of them. ``share`` counts from one record on: ten bad ones of ten are all of them.
    """
    found: list[Finding] = []
    for exchange in tables.exchanges:
        letters = _letters(tables, exchange, window)
        total = _records(tables, exchange, window)
        count = sum(row["count"] for row in letters)
        share = count / total if total else 0.0
        reasons = ", ".join(f"{row['reason']} ({row['count']})" for row in letters[:3])
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"{count} of {total} records are dead letters: {reasons or 'none'}",
                value=share,
                threshold=limits["share"],
                count=count,
                total=total,
                keys=[key for row in letters for key in row["keys"]][:MAX_KEYS],
            )
        )
        found += _new_reasons(tables, exchange, window, letters, limits["new_reason"])
    return found


def _new_reasons(
    tables: Tables,
    exchange: Exchange,
    window: Window,
    letters: list[dict[str, Any]],
    least: float,
) -> list[Finding]:
    if not letters:
        return []
    before = Window(window.since - _BEFORE, window.since, window.now)
    known = {row["reason"] for row in _letters(tables, exchange, before)}
    return [
        Finding(
            exchange=exchange.name,
            message=f"the reason {row['reason']} is new: {row['count']} dead letters",
            value=float(row["count"]),
            threshold=least,
            count=row["count"],
            keys=row["keys"],
        )
        for row in letters
        if row["reason"] not in known
    ]


def _letters(tables: Tables, exchange: Exchange, window: Window) -> list[dict[str, Any]]:
    rows = scan_table(
        tables.lake,
        dead_letters(exchange),
        ["topic", "partition", "offset", "error_reasons"],
        window.conditions(),
    )
    found = query(f"""
        select reason, count(*) as count,
               list(topic || '-' || "partition" || '@' || "offset" order by "offset")
                 [1:{MAX_KEYS}] as keys
        from (select *, error_reasons[1] as reason from ({rows.sql}))
        group by reason order by count desc, reason
        """)  # noqa: S608 — our own SQL
    return list(found.to_pylist())


def _records(tables: Tables, exchange: Exchange, window: Window) -> int:
    rows = scan_table(
        tables.lake,
        bronze_trades(exchange),
        ["offset"],
        window.conditions(),
    )
    return int(query(f"select count(*) as n from ({rows.sql})")["n"][0].as_py())  # noqa: S608

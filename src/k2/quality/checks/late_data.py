"""Late data: the share of trades that reached the broker too late."""

from collections.abc import Mapping

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import Finding, Tables, Window
from k2.sql import query
from k2.storage.scan import scan_table


def check_late_data(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return for each exchange the share of late trades, once there are ``least`` of any."""
    found = []
    for exchange in tables.exchanges:
        rows = scan_table(
            tables.lake,
            GOLD_TRADES,
            ["is_late"],
            [
                ("exchange", "=", exchange.name),
                *window.conditions(),
            ],
        )
        (row,) = query(
            f"select count(*) as total, count_if(is_late) as late from ({rows.sql})"  # noqa: S608
        ).to_pylist()
        share = row["late"] / row["total"] if row["total"] >= limits["least"] else 0.0
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"{row['late']} of {row['total']} trades came late",
                value=share,
                threshold=limits["share"],
                count=row["late"],
                total=row["total"],
            )
        )
    return found

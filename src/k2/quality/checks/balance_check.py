"""The balance as a quality check: of what came recently, and of everything."""

from collections.abc import Mapping

from k2.quality.balance import balance
from k2.quality.checks.check import MAX_KEYS, Finding, Tables, Window
from k2.quality.recent_balance import RecentBalance


def check_recent_balance(
    tables: Tables, window: Window, limits: Mapping[str, float]
) -> list[Finding]:
    """Return for each exchange the records of the newest offsets that are missing or double."""
    found = []
    for exchange in tables.exchanges:
        recent = RecentBalance(tables.settings, exchange)
        recent.differences()  # what is on its way at the first look is there at the second
        count = recent.differences()
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"{count} of the newest records are missing or double",
                value=float(count),
                threshold=limits["most"],
                count=count,
            )
        )
    return found


def check_whole_balance(
    tables: Tables, window: Window, limits: Mapping[str, float]
) -> list[Finding]:
    """Return each exchange's balance over all of its tables, without Kafka."""
    found = []
    for account in balance(tables.settings, tables.exchanges):
        count = sum(difference.count for difference in account.differences)
        whats = "; ".join(f"{d.count} {d.what}" for d in account.differences)
        found.append(
            Finding(
                exchange=account.exchange,
                message=whats or f"{account.bronze} records are all accounted for",
                value=float(count),
                threshold=limits["most"],
                count=count,
                total=account.bronze,
                keys=[key for d in account.differences for key in d.records][:MAX_KEYS],
            )
        )
    return found

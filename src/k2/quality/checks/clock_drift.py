"""Clock drift: a step in the delay from an exchange's clock to the broker's."""

from collections.abc import Mapping
from datetime import timedelta

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import Finding, Tables, Window
from k2.sql import literal, query
from k2.storage.scan import scan_table

_BEFORE = timedelta(hours=1)


def check_clock_drift(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return for each exchange how far the delay of its trades moved against the hour before.

    The delay is the median of broker's minus exchange's time, late trades left out. ``seconds`` is
    the largest step, or delay below zero, that is no violation; fewer than ``least`` trades say nothing.
    """
    rows = scan_table(
        tables.lake,
        GOLD_TRADES,
        ["exchange", "timestamp", "kafka_timestamp"],
        [
            *window.conditions(_BEFORE),
            ("is_late", "=", False),
        ],
    )
    measured = query(f"""
        select exchange, kafka_timestamp > {literal(window.since)} as is_new,
               median(epoch_us(kafka_timestamp) - epoch_us("timestamp")) / 1e6 as delay,
               count(*) as trades
        from ({rows.sql}) group by all
        """).to_pylist()  # noqa: S608 — our own SQL
    found = []
    for exchange in tables.exchanges:
        parts = {row["is_new"]: row for row in measured if row["exchange"] == exchange.name}
        now, before = parts.get(True), parts.get(False)
        if now is None or now["trades"] < limits["least"]:
            continue
        usual = before["delay"] if before and before["trades"] >= limits["least"] else None
        step = abs(now["delay"] - usual) if usual is not None else max(-now["delay"], 0.0)
        was = "nothing to compare with" if usual is None else f"{usual:.3f} s in the hour before"
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"{now['delay']:.3f} s from {exchange.title} to the broker, {was}",
                value=step,
                threshold=limits["seconds"],
                count=now["trades"],
            )
        )
    return found

"""Clock drift: a step in the delay from an exchange's clock to the broker's."""

from collections.abc import Mapping
from datetime import timedelta

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import Finding, Tables, Window
from k2.sql import literal, query
from k2.storage.scan import scan_table

_BEFORE = timedelta(minutes=15)
_NEWEST = timedelta(minutes=1)


def check_clock_drift(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return for each exchange how far the delay of its newest trades is from that before the window.

    The delay is the median of broker's minus exchange's time, late trades left out: of the newest
    minute's trades, or the ``least`` newest where these are more. A run that is not after a step
    by some trades leaves it to the next. ``seconds`` is the largest step, or delay below zero, that is
    no violation; fewer than ``usual`` trades before say nothing.
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
    is_new = f"kafka_timestamp > {literal(window.since)}"
    measured = query(f"""
        with rows as (
            select exchange, kafka_timestamp, epoch_us(kafka_timestamp) - epoch_us("timestamp") as us
            from ({rows.sql})
        ), edges as (
            select exchange, least(
                max(kafka_timestamp) - interval {int(_NEWEST.total_seconds())} second,
                list_min(max(kafka_timestamp, {int(limits["least"])}))
            ) as edge
            from rows where {is_new} group by all
        )
        select exchange,
            median(us) filter ({is_new} and kafka_timestamp >= edge) / 1e6 as delay,
            count_if({is_new}) as trades,
            median(us) filter (not {is_new}) / 1e6 as usual,
            count_if(not {is_new}) as before
        from rows join edges using (exchange) group by all
        """).to_pylist()  # noqa: S608 — our own SQL
    found = []
    for exchange in tables.exchanges:
        rows_of = [row for row in measured if row["exchange"] == exchange.name]
        if not rows_of or rows_of[0]["trades"] < limits["least"]:
            continue
        now = rows_of[0]
        usual = now["usual"] if now["before"] >= limits["least"] else None
        step = abs(now["delay"] - usual) if usual is not None else max(-now["delay"], 0.0)
        was = "nothing to compare with" if usual is None else f"{usual:.3f} s before"
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

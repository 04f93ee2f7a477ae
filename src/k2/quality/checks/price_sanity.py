"""Price sanity: a jump within a market, and one market that disagrees with the others of its pair."""

from collections.abc import Mapping
from datetime import timedelta

import pyarrow as pa

from k2.gold.table import GOLD_TRADES
from k2.quality.checks.check import Finding, Tables, Window
from k2.sql import literal, query
from k2.storage.scan import scan_table

_BEFORE = timedelta(minutes=30)  # of prices that a jump is measured against


def check_prices(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return jumps and disagreements, in median absolute deviations (MAD).

    A minute's median price jumps when it is ``jump_mads`` deviations, and ``jump_share`` of itself,
    from the median of the half hour before it. Three or more exchanges of a symbol disagree when one
    is ``cross_mads`` deviations, and ``cross_share``, from their median; of two, when they are
    ``cross_share`` apart.
    """
    rows = scan_table(
        tables.lake,
        GOLD_TRADES,
        ["exchange", "symbol", "timestamp", "price"],
        [
            *window.conditions(_BEFORE),
            ("exchange", "in", [exchange.name for exchange in tables.exchanges]),
        ],
    )
    minutes = query(f"""
        select exchange, symbol, time_bucket(interval 1 minute, "timestamp") as minute,
               median(price::double) as price, count(*) as trades
        from ({rows.sql}) group by all
        """)  # noqa: S608 — our own SQL
    return [*_jumps(minutes, window, limits), *_disagreements(minutes, window, limits)]


def _jumps(minutes: pa.Table, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    found = query(
        f"""
        with around as (
            select *, list(price) over before as prices
            from minutes window before as (
                partition by exchange, symbol order by minute
                range between interval 30 minutes preceding and interval 1 minute preceding)
        ), measured as (
            select *, list_median(prices) as usual,
                   list_median(list_transform(prices, lambda p: abs(p - list_median(prices)))) as mad
            from around where len(prices) >= 10
              and minute > {literal(window.since)}
        )
        select exchange, symbol, minute, price, usual, abs(price - usual) / usual as share,
               abs(price - usual) / greatest(1.4826 * mad, 1e-9 * usual) as mads
        from measured
        qualify row_number() over (partition by exchange, symbol order by share desc) = 1
        order by exchange, symbol
        """,  # noqa: S608 — our own SQL
        minutes=minutes,
    )
    return [
        Finding(
            exchange=row["exchange"],
            symbol=row["symbol"],
            message=(
                f"{row['symbol']} at {row['price']:g}, usually {row['usual']:g}, in the minute of"
                f" {row['minute']:%Y-%m-%d %H:%M}: {row['mads']:.0f} deviations"
            ),
            value=row["mads"] if row["share"] > limits["jump_share"] else 0.0,
            threshold=limits["jump_mads"],
            keys=[row["minute"].isoformat()],
        )
        for row in found.to_pylist()
    ]


def _disagreements(minutes: pa.Table, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    found = query(
        f"""
        with together as (
            select symbol, minute, list(price) as prices, list(exchange) as exchanges
            from minutes where minute > {literal(window.since)}
            group by all having count(*) > 1
        ), measured as (
            select symbol, minute, unnest(exchanges) as exchange, unnest(prices) as price,
                   list_median(prices) as middle, len(prices) as markets,
                   list_median(list_transform(prices, lambda p: abs(p - list_median(prices)))) as mad
            from together
        )
        select symbol, exchange, minute, price, middle, markets, abs(price - middle) / middle as share,
               abs(price - middle) / greatest(1.4826 * mad, 1e-4 * middle) as mads
        from measured
        qualify row_number() over (partition by exchange, symbol order by share desc) = 1
        order by exchange, symbol
        """,  # noqa: S608 — our own SQL
        minutes=minutes,
    )
    return [
        Finding(
            exchange=row["exchange"],
            symbol=row["symbol"],
            message=(
                f"{row['symbol']} at {row['price']:g} on {row['exchange']}, {row['middle']:g} over"
                f" {row['markets']} exchanges, in the minute of {row['minute']:%Y-%m-%d %H:%M}"
            ),
            value=_disagreement(row, limits),
            threshold=limits["cross_mads"],
            keys=[row["minute"].isoformat()],
        )
        for row in found.to_pylist()
    ]


def _disagreement(row: Mapping[str, float], limits: Mapping[str, float]) -> float:
    # Of two, each is half of their distance from the middle.
    share = row["share"] * 2 if row["markets"] == 2 else row["share"]
    if share <= limits["cross_share"]:
        return 0.0
    return (
        max(float(row["mads"]), limits["cross_mads"] + share)
        if row["markets"] == 2
        else row["mads"]
    )

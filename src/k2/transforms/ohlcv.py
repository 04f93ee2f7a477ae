"""Trades to bars, exact: the same trades give the same bars, in whatever order they came.

Prices, volumes and quote volumes are decimals and their sums are exact, so that a bar added up from
minute bars equals one added up from trades.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from k2.tables.columns import PRICE
from k2.tables.ohlcv import GOLD_OHLCV, QUOTE_VOLUME, TIMEFRAMES, VOLUME

MINUTE = TIMEFRAMES["1m"]
_HOUR = 60  # minutes
_MINUTE_OF = f"unix_seconds(timestamp) div {MINUTE}"  # counted from 1970
_NEVER = range(-(2**62), -(2**62) + 11)
LONGER = tuple(name for name, seconds in TIMEFRAMES.items() if seconds > MINUTE)

_SET_WHEN_STORED = ("is_final", "revision", "bar_date")
# What bars are made of; ``last_trade_at`` tells how far an exchange is and is not stored.
BAR = (*(n for n in GOLD_OHLCV.columns if n not in _SET_WHEN_STORED), "last_trade_at")

_MARKET = ("exchange", "symbol")
_ORDER = ("timestamp", "source_sequence", "offset", "partition")


def to_minute_bars(trades: DataFrame) -> DataFrame:
    """Add up trades to one-minute bars, the columns of ``BAR``; a minute without trades has none.

    Args:
        trades: ``exchange``, ``symbol``, ``timestamp``, ``source_sequence``, ``partition``,
            ``offset``, ``price``, ``quantity`` and ``side``, each trade once.

    Open and close are of the first and last trade by (timestamp, source_sequence, offset), a missing
    sequence before any; the partition only decides between two records with the same offset.
    """
    order = F.struct(*_ORDER)
    value = (F.col("price") * F.col("quantity")).cast(QUOTE_VOLUME)
    bought = F.when(F.col("side") == "BUY", F.col("quantity")).otherwise(F.lit(0))
    bars = trades.groupBy(*_MARKET, _window("timestamp", MINUTE).alias("bar_start")).agg(
        F.min_by("price", order).alias("open"),
        F.max("price").alias("high"),
        F.min("price").alias("low"),
        F.max_by("price", order).alias("close"),
        F.sum("quantity").cast(VOLUME).alias("volume"),
        _sum_or_null(value).alias("quote_volume"),
        F.count("*").alias("trade_count"),
        F.sum(bought).cast(VOLUME).alias("taker_buy_volume"),
        F.max("timestamp").alias("last_trade_at"),
    )
    return _with_vwap(bars.withColumn("timeframe", F.lit("1m")))


def roll_up(minute_bars: DataFrame, *timeframes: str) -> DataFrame:
    """Add up one-minute bars to the bars of longer windows, the columns of ``BAR``.

    A window is only right when all of its minutes are there.
    """
    windows = F.array(
        *(
            F.struct(F.lit(name), _window("bar_start", TIMEFRAMES[name]).alias("start"))
            for name in timeframes
        )
    )
    minutes = minute_bars.select(
        *_MARKET,
        F.col("bar_start").alias("minute"),
        *("open", "high", "low", "close", "volume", "quote_volume", "trade_count"),
        *("taker_buy_volume", "last_trade_at"),
        F.inline(windows).alias("timeframe", "bar_start"),
    )
    bars = minutes.groupBy(*_MARKET, "timeframe", "bar_start").agg(
        F.min_by("open", "minute").alias("open"),
        F.max("high").alias("high"),
        F.min("low").alias("low"),
        F.max_by("close", "minute").alias("close"),
        F.sum("volume").cast(VOLUME).alias("volume"),
        _sum_or_null(F.col("quote_volume")).alias("quote_volume"),
        F.sum("trade_count").alias("trade_count"),
        F.sum("taker_buy_volume").cast(VOLUME).alias("taker_buy_volume"),
        F.max("last_trade_at").alias("last_trade_at"),
    )
    return _with_vwap(bars)


def touched_minutes(trades: DataFrame) -> DataFrame:
    """Return the minutes (``minute``, counted from 1970) that trades fall in.

    With each come ``trades``, their number, and the ``oldest`` and ``newest`` broker timestamp.
    """
    minute = F.expr(_MINUTE_OF).alias("minute")
    return trades.groupBy(minute).agg(
        F.count("*").alias("trades"),
        F.min("kafka_timestamp").alias("oldest"),
        F.max("kafka_timestamp").alias("newest"),
    )


def in_minutes(minutes: Collection[int]) -> str:
    """SQL that holds for Gold trades in minutes, counted from 1970.

    It names the partitions, so that only their files are read. Within these the minutes are a set,
    which Spark looks up, and not comparisons: of hundreds it would make code that no JVM compiles,
    and other code for every batch.
    """
    if not minutes:
        return "false"
    hours = Counter(minute // _HOUR for minute in set(minutes))
    days: dict[int, list[int]] = {}
    for hour in sorted(hours):
        days.setdefault(hour // 24, []).append(hour % 24)
    partitions = " or ".join(_on_day(day, hours) for day, hours in days.items())
    if all(count == _HOUR for count in hours.values()):
        return f"({partitions})"
    # A set is what Spark makes of more than ten: the first are in no minute that there is.
    numbers = ", ".join(map(str, [*_NEVER, *sorted(minutes)]))
    return f"({partitions}) and {_MINUTE_OF} in ({numbers})"


def _on_day(day: int, hours: Iterable[int]) -> str:
    date = datetime.fromtimestamp(day * 24 * _HOUR * MINUTE, UTC)
    among = ", ".join(map(str, hours))
    return f"(exchange_date = date'{date:%Y-%m-%d}' and exchange_hour in ({among}))"


def _window(moment: str, seconds: int) -> Column:
    return F.timestamp_seconds(F.expr(f"unix_seconds({moment}) div {seconds} * {seconds}"))


def _sum_or_null(values: Column) -> Column:
    """The exact sum; null when it, or one of the values, does not fit."""
    return F.when(F.count(values) == F.count("*"), F.try_sum(values)).cast(QUOTE_VOLUME)


def _with_vwap(bars: DataFrame) -> DataFrame:
    vwap = F.round(F.col("quote_volume") / F.col("volume"), PRICE.scale).cast(PRICE)
    return bars.withColumn("vwap", vwap).select(*BAR)

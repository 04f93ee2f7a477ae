"""Trades to bars, exact: the same trades give the same bars, in whatever order they came.

Prices, volumes and quote volumes are decimals and their sums are exact, so that a bar added up from
shorter ones, or from parts of a minute, equals one added up from trades.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from k2.tables.columns import PRICE
from k2.tables.ohlcv import GOLD_OHLCV, QUOTE_VOLUME, TIMEFRAMES, VOLUME

MINUTE = TIMEFRAMES["1m"]
HOUR = TIMEFRAMES["1h"]

_SET_WHEN_STORED = ("is_final", "revision", "bar_date")
# What is stored of a bar when it is made.
STORED = tuple(name for name in GOLD_OHLCV.columns if name not in _SET_WHEN_STORED)
# A bar as it is made: with the places of its first and last trade among all trades.
BAR = (*STORED, "first_trade", "last_trade")

_MARKET = ("exchange", "symbol")
_ORDER = ("timestamp", "source_sequence", "offset", "partition")
# What of a trade a bar is made of.
MADE_OF = (*_MARKET, *_ORDER, "price", "quantity", "side")

# SQL texts, each one call to the JVM: a bar is planned anew for every batch, and put together from
# columns that took as long as its trades.
_VOLUME, _QUOTE_VOLUME = VOLUME.simpleString(), QUOTE_VOLUME.simpleString()
_PLACE = f"struct({', '.join(_ORDER)})"
_VALUE = f"cast(price * quantity as {_QUOTE_VOLUME})"
# Null when the exact sum, or one of the values, does not fit.
_SUM_OR_NULL = (
    "cast(case when count({0}) = count(*) then try_sum({0}) end as " + _QUOTE_VOLUME + ")"
)
_OF_TRADES = (
    f"min_by(price, {_PLACE}) as open",
    "max(price) as high",
    "min(price) as low",
    f"max_by(price, {_PLACE}) as close",
    f"cast(sum(quantity) as {_VOLUME}) as volume",
    _SUM_OR_NULL.format(_VALUE) + " as quote_volume",
    "count(*) as trade_count",
    f"cast(sum(case when side = 'BUY' then quantity else 0 end) as {_VOLUME}) as taker_buy_volume",
    f"min({_PLACE}) as first_trade",
    f"max({_PLACE}) as last_trade",
)
_OF_BARS = (
    "min_by(open, first_trade) as open",
    "max(high) as high",
    "min(low) as low",
    "max_by(close, last_trade) as close",
    f"cast(sum(volume) as {_VOLUME}) as volume",
    _SUM_OR_NULL.format("quote_volume") + " as quote_volume",
    "sum(trade_count) as trade_count",
    f"cast(sum(taker_buy_volume) as {_VOLUME}) as taker_buy_volume",
    "min(first_trade) as first_trade",
    "max(last_trade) as last_trade",
)
_VWAP = f"cast(round(quote_volume / volume, {PRICE.scale}) as {PRICE.simpleString()}) as vwap"
_NOT_ADDED_UP = ("timeframe", "bar_start", "vwap")


def to_minute_bars(trades: DataFrame, *also: str) -> DataFrame:
    """Add up trades to one-minute bars, the columns of ``BAR`` and what the SQL of ``also`` names.

    A minute without trades has none.

    Args:
        trades: the columns of ``MADE_OF`` and what ``also`` needs, each trade once.
        also: what else to make of each bar's trades: aggregates with their names.

    Open and close are of the first and last trade by (timestamp, source_sequence, offset), a missing
    sequence before any; the partition only decides between two records with the same offset.
    """
    minute = F.expr(f"{_window('timestamp', MINUTE)} as bar_start")
    bars = trades.groupBy(*_MARKET, minute).agg(*map(F.expr, (*_OF_TRADES, *also)))
    others = bars.columns[len(_MARKET) + 1 + len(_OF_TRADES) :]
    of_one_minute = {"timeframe": "'1m' as timeframe", "vwap": _VWAP}
    return bars.selectExpr(*(of_one_minute.get(name, name) for name in BAR), *others)


def with_ends(stored: DataFrame) -> DataFrame:
    """Return stored bars (``STORED``) as ones that can be added up (``BAR``).

    Which trades were their first and last is not known any more. That they are of the bar's window
    puts them in order beside bars of other windows.
    """
    place = (
        "named_struct('timestamp', bar_start, 'source_sequence', cast(null as bigint),"
        " 'offset', 0L, 'partition', 0)"
    )
    return stored.selectExpr(*STORED, f"{place} as first_trade", f"{place} as last_trade")


def add_up(*parts: tuple[DataFrame, Sequence[str]]) -> DataFrame:
    """Add up bars to the bars of windows of their own length or longer, the columns of ``BAR``.

    Args:
        parts: bars (``BAR``), and the lengths of the windows that they are parts of.

    A window is only right when all of it is there, each trade in one of its parts.
    """
    together = reduce(DataFrame.union, (_in_windows(*part) for part in parts))
    bars = together.groupBy(*_MARKET, "timeframe", "bar_start").agg(*map(F.expr, _OF_BARS))
    return bars.selectExpr(*(_VWAP if name == "vwap" else name for name in BAR))


def in_hours(hours: Iterable[int]) -> str:
    """SQL that holds for the partitions of Gold with the trades of hours, counted from 1970."""
    days: dict[int, list[int]] = {}
    for hour in sorted(set(hours)):
        days.setdefault(hour // 24, []).append(hour % 24)
    return " or ".join(_on_day(day, among) for day, among in days.items()) or "false"


def _in_windows(bars: DataFrame, timeframes: Sequence[str]) -> DataFrame:
    windows = (f"struct('{name}', {_window('bar_start', TIMEFRAMES[name])})" for name in timeframes)
    return bars.selectExpr(
        *(name for name in BAR if name not in _NOT_ADDED_UP),
        f"inline(array({', '.join(windows)})) as (timeframe, bar_start)",
    )


def _on_day(day: int, hours: Iterable[int]) -> str:
    date = datetime.fromtimestamp(day * 24 * HOUR, UTC)
    among = ", ".join(map(str, hours))
    return f"(exchange_date = date'{date:%Y-%m-%d}' and exchange_hour in ({among}))"


def _window(moment: str, seconds: int) -> str:
    return f"timestamp_seconds(unix_seconds({moment}) div {seconds} * {seconds})"

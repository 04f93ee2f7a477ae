"""Aggregate trades to bars, exactly: the same trades give the same bars, in whatever order they came.

Prices, volumes and quote volumes are decimals and their sums are exact, so that a bar added up from
shorter ones, or from parts of a minute, equals one added up from trades.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

from k2.bars.counting import counted
from k2.bars.table import GOLD_OHLCV, QUOTE_VOLUME, TIMEFRAMES, VOLUME
from k2.exchanges import EXCHANGES, Exchange
from k2.silver.decimals import narrowed
from k2.sql import query, text, type_name
from k2.storage.columns import PRICE, TIMESTAMP_US_UTC

MINUTE = TIMEFRAMES["1m"]
HOUR = TIMEFRAMES["1h"]

_SET_WHEN_STORED = ("is_final", "revision", "bar_date")
# What is stored of a bar when it is made.
STORED = tuple(name for name in GOLD_OHLCV.columns if name not in _SET_WHEN_STORED)
# Where a trade is among all trades; what has no sequence comes before what has.
_PLACE = pa.struct(
    [
        ("timestamp_us", pa.int64()),
        ("has_sequence", pa.bool_()),
        ("sequence", pa.int64()),
        ("offset", pa.int64()),
        ("partition", pa.int32()),
    ]
)
# A bar as it is made: with the places of its first and last trade, how many rows of Gold it was made of,
# and when the broker had the first and the last of them to arrive.
BAR = pa.schema(
    [
        *((name, GOLD_OHLCV.schema.field(name).type) for name in STORED),
        ("first_trade", _PLACE),
        ("last_trade", _PLACE),
        ("rows", pa.int64()),
        ("oldest", TIMESTAMP_US_UTC),
        ("newest", TIMESTAMP_US_UTC),
    ]
)

_MARKET = ("exchange", "symbol")
_ORDER = ("timestamp", "source_sequence", "offset", "partition")
# What of a trade a bar is made of.
MADE_OF = (
    *(*_MARKET, "instrument_type", *_ORDER, "price", "quantity", "side", "kafka_timestamp"),
    *("trade_conditions", "trade_count"),
)

_VOLUME, _QUOTE_VOLUME = type_name(VOLUME), type_name(QUOTE_VOLUME)
_WHERE_PRICED = "case when price is not null then"
# Of narrow numbers a product that DuckDB does not widen for itself; of others null where it does not fit.
_NARROW_VALUE = "cast(price as decimal(36, 8)) * cast(quantity as decimal(36, 8))"
_WIDE_VALUE = "try(price * quantity)"
_OF_TRADES = (
    "min(instrument_type) as instrument_type",  # a symbol has one
    "max(price) as high",
    "min(price) as low",
    f"cast(sum(quantity) as {_VOLUME}) as volume",
    "cast(sum(trade_count) as bigint) as trade_count",
    f"cast(sum(case when side = 'BUY' then quantity else 0 end) as {_VOLUME}) as taker_buy_volume",
    "min(place) as first_print",
    "max(place) as last_print",
    "count(*) as rows",
    "min(kafka_timestamp) as oldest",
    "max(kafka_timestamp) as newest",
)
_OF_BARS = (
    "min(instrument_type) as instrument_type",
    "arg_min(open, first_trade) as open",
    "max(high) as high",
    "min(low) as low",
    "arg_max(close, last_trade) as close",
    f"cast(sum(volume) as {_VOLUME}) as volume",
    "sum(trunc(quote_volume)) as whole",
    "sum(quote_volume - trunc(quote_volume)) as fraction",
    "count(quote_volume) = count(open) as is_known",
    "cast(sum(trade_count) as bigint) as trade_count",
    f"cast(sum(taker_buy_volume) as {_VOLUME}) as taker_buy_volume",
    "min(first_trade) as first_trade",
    "max(last_trade) as last_trade",
    "cast(sum(rows) as bigint) as rows",
    "min(oldest) as oldest",
    "max(newest) as newest",
)
_IN_PARTS = (
    "sum(trunc(value)) as whole",
    "sum(value - trunc(value)) as fraction",
    "count(value) = count(price) as is_known",
)
# A sum has 14 digits before the point at most; in two parts it is exact however large it gets.
_LIMIT = Decimal(10) ** (QUOTE_VOLUME.precision - QUOTE_VOLUME.scale)
_SUM = (
    f"case when is_known and whole + trunc(fraction) < {_LIMIT}"
    f" then cast(whole as {_QUOTE_VOLUME}) + cast(fraction as {_QUOTE_VOLUME}) end"
)
_UNIT = Decimal(1).scaleb(-PRICE.scale)
# Between a quotient of these sums and the half of a unit there are never fewer digits than that.
_EXACTLY = Context(prec=80)


def to_minute_bars(trades: pa.Table, exchanges: Sequence[Exchange] = EXCHANGES) -> pa.Table:
    """Aggregate trades to one-minute bars, the columns of ``BAR``; a minute without trades has no bar.

    Args:
        trades: the columns of ``MADE_OF``, each trade once.
        exchanges: whose definitions say which prints count towards what.

    Open and close are of the first and last trade by (timestamp, source_sequence, offset), a missing
    sequence before any; the partition only decides between two records with the same offset. A
    minute in which no trade counts has no prices: it is no bar, and only says how many rows there were.
    """
    trades, value = _narrowed(counted(trades.select(MADE_OF), exchanges))
    values: tuple[str, ...] = _IN_PARTS
    if _stays_small(trades):
        values = (f"cast(sum(value) as {_QUOTE_VOLUME}) as quote_volume",)
    # The price goes with its place, so that one comparison finds both.
    sql = f"""
        select * exclude (first_print, last_print),
            first_print.price as open, last_print.price as close,
            {_place_of("first_print")} as first_trade, {_place_of("last_print")} as last_trade
        from (
            select exchange, symbol, {_window("timestamp", MINUTE)} as start_us, '1m' as timeframe,
                {", ".join((*_OF_TRADES, *values))}
            from (
                select *, {value} as value, {_WHERE_PRICED} {{
                        'timestamp_us': epoch_us(timestamp),
                        'has_sequence': source_sequence is not null,
                        'sequence': coalesce(source_sequence, 0),
                        'offset': "offset",
                        'partition': "partition",
                        'price': price
                    }} end as place
                from trades
            )
            group by all
        )
    """  # noqa: S608 — our own columns only
    return _bars(query(sql if len(values) == 1 else _summed(sql), trades=trades))


def with_ends(stored: pa.Table) -> pa.Table:
    """Return stored bars (``STORED``) in the form that can be aggregated further (``BAR``).

    A stored bar no longer says which trades were its first and last. The bar's window is enough to order
    it among bars of other windows.
    """
    place = (
        "{'timestamp_us': epoch_us(bar_start), 'has_sequence': false, 'sequence': 0, 'offset': 0,"
        " 'partition': 0}"
    )
    sql = (
        f"select {', '.join(STORED)}, {place} as first_trade, {place} as last_trade,"  # noqa: S608
        " 0 as rows, null as oldest, null as newest from stored"
    )
    return _of_schema(query(sql, stored=stored.select(STORED)))


def add_up(*parts: tuple[pa.Table, Sequence[str]]) -> pa.Table:
    """Aggregate bars to bars of windows of their own length or longer, the columns of ``BAR``.

    Args:
        parts: bars (``BAR``), and the lengths of the windows that they are parts of.

    A window is only right when all its parts are given, each trade in one of them.
    """
    named = {f"part{number}": bars for number, (bars, _) in enumerate(parts)}
    windows = " union all ".join(
        f"select *, {_window('bar_start', TIMEFRAMES[length])} as start_us, {text(length)} as length"  # noqa: S608
        f" from {name}"
        for name, (_, lengths) in zip(named, parts, strict=True)
        for length in lengths
    )
    sql = f"""
        select exchange, symbol, start_us, length as timeframe, {", ".join(_OF_BARS)}
        from ({windows}) group by all
    """  # noqa: S608 — our own columns only
    return _bars(query(_summed(sql), **named))


def _narrowed(trades: pa.Table) -> tuple[pa.Table, str]:
    """The trades with numbers of 18 digits where all are such, which add up at half the cost; and SQL
    for their values."""
    numbers = {name: narrowed(trades[name]) for name in ("price", "quantity")}
    if any(column is None for column in numbers.values()):
        return trades, _WIDE_VALUE
    return pa.table({name: numbers.get(name, trades[name]) for name in MADE_OF}), _NARROW_VALUE


def _stays_small(trades: pa.Table) -> bool:
    """Whether the sum of all values certainly fits the narrow type, as it does in any real market."""
    price, quantity = (trades[name].cast(pa.float64()) for name in ("price", "quantity"))
    total = pc.sum(pc.multiply(price, quantity)).as_py() or 0.0
    return bool(total < float(_LIMIT) / 2)  # a float is not wrong by half


def _place_of(print_: str) -> str:
    fields = ", ".join(f"'{field.name}': {print_}.\"{field.name}\"" for field in _PLACE)
    return f"case when {print_} is not null then {{{fields}}} end"


def _summed(bars: str) -> str:
    columns = "* exclude (whole, fraction, is_known)"
    return f"select {columns}, {_SUM} as quote_volume from ({bars})"  # noqa: S608


def _bars(made: pa.Table) -> pa.Table:
    start = made["start_us"].cast(TIMESTAMP_US_UTC)
    vwap = pa.array(map(_vwap, made["quote_volume"].to_pylist(), made["volume"].to_pylist()),
                    pa.decimal128(PRICE.precision, PRICE.scale))  # fmt: skip
    return _of_schema(made.append_column("bar_start", start).append_column("vwap", vwap))


def _vwap(quote_volume: Decimal | None, volume: Decimal) -> Decimal | None:
    """Quote volume ÷ volume, rounded half up; null without volume."""
    if quote_volume is None or not volume:
        return None
    return _EXACTLY.divide(quote_volume, volume).quantize(_UNIT, ROUND_HALF_UP, _EXACTLY)


def _of_schema(bars: pa.Table) -> pa.Table:
    return pa.table([bars[field.name].cast(field.type) for field in BAR], schema=BAR)


def _window(moment: str, seconds: int) -> str:
    """SQL for the start of a window, in microseconds."""
    micros = seconds * 1_000_000
    return f"epoch_us({moment}) // {micros} * {micros}"

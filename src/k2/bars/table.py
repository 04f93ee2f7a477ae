"""Bars: open, high, low, close and volume of a market in a window of time."""

from pyspark.sql.types import (
    BooleanType,
    DecimalType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from k2.storage.columns import PRICE, column, date
from k2.storage.table import Layer, Table

BARS = "ohlcv"  # the stream that keeps them up, and the step after Gold
BARS_VERSION = 1
BARS_APP = f"{BARS}/v{BARS_VERSION}"

# Seconds of a window. All windows start at a multiple of their length since 1970, UTC.
TIMEFRAMES = {"1m": 60, "5m": 300, "30m": 1_800, "1h": 3_600, "1d": 86_400}

VOLUME = DecimalType(38, 10)
QUOTE_VOLUME = DecimalType(38, 24)  # all places of price × quantity


def _text(name: str, comment: str) -> StructField:
    return column(name, StringType(), comment, required=True)


def _price(name: str, comment: str) -> StructField:
    return column(name, PRICE, comment, required=True)


GOLD_OHLCV = Table(
    name="gold_ohlcv",
    version=2,
    layer=Layer.GOLD,
    comment="Bars of every market with a trade in the window, recomputed and replaced as a whole.",
    schema=StructType(
        [
            _text("exchange", "Lower-case name of the exchange"),
            _text("symbol", "BTC-USDT, BTC-USDT-PERP or BTC-USDT-20260925, standard codes"),
            _text("instrument_type", "spot, perpetual or future"),
            _text("timeframe", "Length of the window: 1m, 5m, 30m, 1h or 1d"),
            column("bar_start", TimestampType(), "First instant of the window, UTC", True),
            _price("open", "Price of the first trade by (timestamp, source_sequence, offset)"),
            _price("high", "Highest price"),
            _price("low", "Lowest price"),
            _price("close", "Price of the last trade by (timestamp, source_sequence, offset)"),
            column("volume", VOLUME, "Sum of quantities, exact", required=True),
            column(
                "quote_volume",
                QUOTE_VOLUME,
                "Sum of price × quantity, exact; null where it exceeds 14 digits before the point",
            ),
            column("vwap", PRICE, "quote_volume ÷ volume, rounded half up to 14 places"),
            column(
                "trade_count",
                LongType(),
                "Number of trades: the sum of Gold's trade_count",
                required=True,
            ),
            column("taker_buy_volume", VOLUME, "Volume that takers bought, exact", required=True),
            column(
                "is_final",
                BooleanType(),
                "The exchange's newest timestamp less the lateness has passed the window's end",
                required=True,
            ),
            column(
                "revision",
                LongType(),
                "How often the bar's numbers changed since it was first written",
                True,
            ),
            date("bar_date", "UTC day of bar_start"),
        ]
    ),
    key=("exchange", "symbol", "timeframe", "bar_start"),
    partitioned_by=("timeframe", "bar_date"),
    stats_columns=("exchange", "symbol", "bar_start"),
)

"""Bars: open, high, low, close and volume of a market in a window of time."""

import pyarrow as pa

from k2.storage.columns import PRICE, TIMESTAMP_US_UTC, column, date
from k2.storage.table import Layer, Table

BARS = "ohlcv"  # the name of the stream that keeps them up, and of the step after Gold
BARS_VERSION = 1
BARS_APP = f"{BARS}/v{BARS_VERSION}"

# Seconds of a window. All windows start at a multiple of their length since 1970, UTC.
TIMEFRAMES = {"1m": 60, "5m": 300, "30m": 1_800, "1h": 3_600, "1d": 86_400}

VOLUME = pa.decimal128(38, 10)
QUOTE_VOLUME = pa.decimal128(38, 24)  # all places of price × quantity


def _text(name: str, comment: str) -> pa.Field:
    return column(name, pa.string(), comment, required=True)


def _price(name: str, comment: str) -> pa.Field:
    return column(name, PRICE, comment, required=True)


GOLD_OHLCV = Table(
    name="gold_ohlcv",
    version=2,
    layer=Layer.GOLD,
    comment="Bars of every market with a trade in the window, recomputed and replaced as a whole.",
    schema=pa.schema(
        [
            _text("exchange", "Lower-case name of the exchange"),
            _text("symbol", "BTC-USDT, BTC-USDT-PERP or BTC-USDT-20260925, standard codes"),
            _text("instrument_type", "spot, perpetual or future"),
            _text("timeframe", "Length of the window: 1m, 5m, 30m, 1h or 1d"),
            column("bar_start", TIMESTAMP_US_UTC, "First instant of the window, UTC", True),
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
                pa.int64(),
                "Number of trades: the sum of Gold's trade_count",
                required=True,
            ),
            column("taker_buy_volume", VOLUME, "Volume that takers bought, exact", required=True),
            column(
                "is_final",
                pa.bool_(),
                "The exchange's newest timestamp less the lateness has passed the window's end",
                required=True,
            ),
            column(
                "revision",
                pa.int64(),
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

"""Gold: the trades of all exchanges in one table."""

import pyarrow as pa

from k2.storage.columns import (
    COORDINATES,
    INSTRUMENT_TYPE,
    KAFKA_TIMESTAMP,
    TRADE,
    TRADE_COUNT,
    column,
    date,
)
from k2.storage.table import Layer, Table

GOLD_TRADES = Table(
    name="gold_trades",
    version=2,
    layer=Layer.GOLD,
    comment="Trades of all exchanges, each once, by the UTC hour they happened in.",
    schema=pa.schema(
        [
            *TRADE,
            INSTRUMENT_TYPE,
            TRADE_COUNT,
            column(
                "trade_value_usd",
                pa.decimal128(38, 8),
                "price × quantity, rounded half even, where the quote is a dollar; else null",
            ),
            *COORDINATES,
            KAFKA_TIMESTAMP,
            column("is_late", pa.bool_(), "Reached the broker over 5 min after it happened", True),
            date("exchange_date", "UTC day of timestamp"),
            column("exchange_hour", pa.int32(), "UTC hour of timestamp, 0 to 23", required=True),
        ]
    ),
    key=("message_id",),
    partitioned_by=("exchange_date", "exchange_hour"),
    high_cardinality=("message_id", "trade_id", "vendor_data"),
    sorted_by=("exchange", "symbol", "timestamp", "offset"),
    grouped_by=("symbol",),
    stats_columns=("timestamp", "symbol", "exchange", "partition", "offset", "kafka_timestamp"),
)

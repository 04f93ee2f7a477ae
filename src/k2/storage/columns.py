"""Columns that several tables share: the V2 trade and where a record came from."""

import pyarrow as pa

TIMESTAMP_US_UTC = pa.timestamp("us", "UTC")
# Prices of tokens have thirteen places, and 10¹⁰ units change hands at once. The product of both has 24
# places, in DuckDB, Polars and Spark.
PRICE, QUANTITY = pa.decimal128(38, 14), pa.decimal128(38, 10)


def list_of(kind: pa.DataType) -> pa.DataType:
    """A list type, its elements named as Spark names them."""
    return pa.list_(pa.field("element", kind))


def column(name: str, kind: pa.DataType, comment: str, required: bool = False) -> pa.Field:
    """A column with a comment; ``required`` ones hold no null."""
    return pa.field(name, kind, nullable=not required, metadata={"comment": comment})


_STRING, _LONG = pa.string(), pa.int64()

# The V2 unified trade: 15 fields, the same in Silver and Gold and in schemas/trade_v2.avsc.
TRADE = (
    column("message_id", _STRING, "{exchange}-{yyyymmdd}-{hash of the trade's identity}", True),
    column("trade_id", _STRING, "The exchange's id; the identity's hash where it gives none", True),
    column("symbol", _STRING, "BTC-USDT, BTC-USDT-PERP or BTC-USDT-20260925, standard codes", True),
    column("exchange", _STRING, "Lower-case name of the exchange", True),
    column("asset_class", _STRING, "crypto or equity, of the base asset", True),
    column("timestamp", TIMESTAMP_US_UTC, "Event time at the exchange, µs, UTC", True),
    column("price", PRICE, "In the quote currency, exact", True),
    column("quantity", QUANTITY, "In the base asset, exact", True),
    column("currency", _STRING, "Standard code of the quote currency", True),
    column("side", _STRING, "BUY or SELL, of the taker (aggressor)", True),
    column("trade_conditions", list_of(_STRING), "Order type and the like, as the exchange says"),
    column("source_sequence", _LONG, "The exchange's own sequence, null where it has none"),
    column("ingestion_timestamp", TIMESTAMP_US_UTC, "When the feed received it, µs, UTC", True),
    column("platform_sequence", _LONG, "Broker offset"),
    column("vendor_data", _STRING, "JSON object: exchange_symbol and the exchange's other fields"),
)

INSTRUMENT_TYPE = column("instrument_type", _STRING, "spot, perpetual or future", True)
TRADE_COUNT = column(
    "trade_count",
    _LONG,
    "How many trades it counts as: of an aggregate its fills, where the exchange numbers each; else 1",
    True,
)

# Where a record came from, down to the byte.
COORDINATES = (
    column("topic", _STRING, "Kafka topic", True),
    column("partition", pa.int32(), "Kafka partition", True),
    column("offset", _LONG, "Kafka offset", True),
)
KAFKA_TIMESTAMP = column("kafka_timestamp", TIMESTAMP_US_UTC, "The broker's timestamp, UTC", True)
SCHEMA_ID = column("schema_id", pa.int32(), "Writer's schema id of the wire format")


def date(name: str, comment: str) -> pa.Field:
    """A date column to partition by."""
    return column(name, pa.date32(), comment, required=True)

"""Columns that several tables share: the V2 trade and where a record came from."""

from pyspark.sql.types import (
    ArrayType,
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    TimestampType,
)

# Prices of tokens have thirteen places, and 10¹⁰ units change hands at once. The product of both has 24
# places, in DuckDB, Polars and Spark.
PRICE, QUANTITY = DecimalType(38, 14), DecimalType(38, 10)


def column(name: str, kind: DataType, comment: str, required: bool = False) -> StructField:
    """A column with a comment; ``required`` ones hold no null."""
    return StructField(name, kind, nullable=not required, metadata={"comment": comment})


_STRING, _LONG = StringType(), LongType()

# The V2 unified trade: 15 fields, the same in Silver and Gold and in schemas/trade_v2.avsc.
TRADE = (
    column("message_id", _STRING, "{exchange}-{yyyymmdd}-{hash of the trade's identity}", True),
    column("trade_id", _STRING, "The exchange's id; the identity's hash where it gives none", True),
    column("symbol", _STRING, "BTC-USDT, BTC-USDT-PERP or BTC-USDT-20260925, standard codes", True),
    column("exchange", _STRING, "Lower-case name of the exchange", True),
    column("asset_class", _STRING, "crypto or equity, of the base asset", True),
    column("timestamp", TimestampType(), "Event time at the exchange, µs, UTC", True),
    column("price", PRICE, "In the quote currency, exact", True),
    column("quantity", QUANTITY, "In the base asset, exact", True),
    column("currency", _STRING, "Standard code of the quote currency", True),
    column("side", _STRING, "BUY or SELL, of the taker (aggressor)", True),
    column("trade_conditions", ArrayType(_STRING), "Order type and the like, as the exchange says"),
    column("source_sequence", _LONG, "The exchange's own sequence, null where it has none"),
    column("ingestion_timestamp", TimestampType(), "When the feed received it, µs, UTC", True),
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
    column("partition", IntegerType(), "Kafka partition", True),
    column("offset", _LONG, "Kafka offset", True),
)
KAFKA_TIMESTAMP = column("kafka_timestamp", TimestampType(), "The broker's timestamp, UTC", True)
SCHEMA_ID = column("schema_id", IntegerType(), "Writer's schema id of the wire format")


def date(name: str, comment: str) -> StructField:
    """A date column to partition by."""
    return column(name, DateType(), comment, required=True)

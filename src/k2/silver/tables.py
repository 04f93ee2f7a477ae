"""Silver: valid trades once each, and beside them dead letters, duplicates and resolutions."""

from pyspark.sql.types import ArrayType, BinaryType, StringType, StructType, TimestampType

from k2.exchanges.exchange import Exchange
from k2.storage.columns import COORDINATES, KAFKA_TIMESTAMP, SCHEMA_ID, TRADE, column, date
from k2.storage.table import Layer, Table

_KEY = ("topic", "partition", "offset")


def silver_trades(exchange: Exchange) -> Table:
    """The table of one exchange's valid trades."""
    return Table(
        name=f"silver_{exchange.name}_trades",
        layer=Layer.SILVER,
        comment=f"Valid {exchange.title} trades, each once: of several records the first by offset.",
        schema=StructType(
            [
                *TRADE,
                *COORDINATES,
                SCHEMA_ID,
                KAFKA_TIMESTAMP,
                date("exchange_date", "UTC day of timestamp"),
            ]
        ),
        key=("message_id",),
        partitioned_by=("exchange_date",),
        unlike=("message_id", "trade_id", "vendor_data"),
        sorted_by=("symbol", "timestamp", "offset"),
        indexed=("timestamp", "symbol", "partition", "offset", "kafka_timestamp"),
    )


def duplicates(exchange: Exchange) -> Table:
    """The table of further records of trades that Silver has."""
    return Table(
        name=f"dup_{exchange.name}_trades",
        layer=Layer.SILVER,
        comment=f"Further records of {exchange.title} trades that Silver already has.",
        schema=StructType(
            [
                column("message_id", StringType(), "The trade's id in Silver", required=True),
                *COORDINATES,
                KAFKA_TIMESTAMP,
                date("dup_date", "UTC day of kafka_timestamp"),
            ]
        ),
        key=_KEY,
        partitioned_by=("dup_date",),
        unlike=("message_id",),
        indexed=("partition", "offset", "kafka_timestamp"),
    )


def dead_letters(exchange: Exchange) -> Table:
    """The table of records that are no valid trade, with every reason."""
    return Table(
        name=f"dlq_{exchange.name}_trades",
        layer=Layer.SILVER,
        comment=f"{exchange.title} records that did not decode or broke a rule, with all reasons.",
        schema=StructType(
            [
                column("raw_record", BinaryType(), "Message value, untouched"),
                column("error_type", StringType(), "decode, schema or rule", required=True),
                column("error_reasons", ArrayType(StringType()), "Every reason", required=True),
                column("stage", StringType(), "Where it failed", required=True),
                *COORDINATES,
                SCHEMA_ID,
                KAFKA_TIMESTAMP,
                column(
                    "error_timestamp",
                    TimestampType(),
                    "Broker time of the record: a replay gives the same row",
                    required=True,
                ),
                date("dlq_date", "UTC day of kafka_timestamp"),
            ]
        ),
        key=_KEY,
        partitioned_by=("dlq_date",),
        indexed=("partition", "offset", "kafka_timestamp", "error_type", "schema_id"),
    )


def resolutions(exchange: Exchange) -> Table:
    """The table of one exchange's resolved dead letters, each once."""
    return Table(
        name=f"dlq_{exchange.name}_resolutions",
        layer=Layer.SILVER,
        comment=f"{exchange.title} dead letters that a replay resolved: what they are, when, how.",
        schema=StructType(
            [
                *COORDINATES,
                column(
                    "outcome",
                    StringType(),
                    "trade: it is in Silver now; duplicate: Silver had its trade already",
                    required=True,
                ),
                column("message_id", StringType(), "The trade's id in Silver", required=True),
                column("replay_id", StringType(), "Which replay", required=True),
                column("resolved_at", TimestampType(), "When that was decided, UTC", required=True),
                KAFKA_TIMESTAMP,
                date("resolved_date", "UTC day of resolved_at"),
            ]
        ),
        key=("topic", "partition", "offset"),
        partitioned_by=("resolved_date",),
        indexed=("partition", "offset", "kafka_timestamp", "resolved_at"),
    )

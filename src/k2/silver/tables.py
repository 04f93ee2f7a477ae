"""Silver's tables: trades, dead letters, duplicates and resolutions."""

import pyarrow as pa

from k2.exchanges.exchange import Exchange
from k2.silver.table_names import silver_trades_name
from k2.storage.columns import (
    COORDINATES,
    INSTRUMENT_TYPE,
    KAFKA_TIMESTAMP,
    SCHEMA_ID,
    TIMESTAMP_US_UTC,
    TRADE,
    TRADE_COUNT,
    column,
    date,
    list_of,
)
from k2.storage.table import Layer, Table

_KEY = ("topic", "partition", "offset")

# Why a record is a duplicate: Silver has all of its fills, or some.
REPEATED, OVERLAPS = "repeated", "overlaps"


def silver_trades(exchange: Exchange) -> Table:
    """The table of one exchange's valid trades."""
    return Table(
        name=silver_trades_name(exchange),
        version=2,
        layer=Layer.SILVER,
        comment=f"Valid {exchange.title} trades, each once: of several records the first by offset.",
        schema=pa.schema(
            [
                *TRADE,
                INSTRUMENT_TYPE,
                TRADE_COUNT,
                column(
                    "first_trade_id",
                    pa.int64(),
                    "First of the exchange's ids that it covers, its own or its first fill's; null"
                    " where there is none",
                ),
                column("last_trade_id", pa.int64(), "Last of these ids"),
                *COORDINATES,
                SCHEMA_ID,
                KAFKA_TIMESTAMP,
                date("exchange_date", "UTC day of timestamp"),
            ]
        ),
        key=("message_id",),
        partitioned_by=("exchange_date",),
        high_cardinality=("message_id", "trade_id", "vendor_data"),
        sorted_by=("symbol", "timestamp", "offset"),
        stats_columns=("timestamp", "symbol", "partition", "offset", "kafka_timestamp"),
    )


def duplicates(exchange: Exchange) -> Table:
    """The table of further records of trades that Silver has."""
    return Table(
        name=f"dup_{exchange.name}_trades",
        version=2,
        layer=Layer.SILVER,
        comment=f"Further records of {exchange.title} trades that Silver already has.",
        schema=pa.schema(
            [
                column(
                    "message_id",
                    pa.string(),
                    "The trade's id; Silver's, unless an aggregate in Silver covers the trade",
                    required=True,
                ),
                column(
                    "reason",
                    pa.string(),
                    "repeated: Silver has all of its fills; overlaps: some of them, so that the"
                    " others are missing until they come by themselves",
                    required=True,
                ),
                *COORDINATES,
                KAFKA_TIMESTAMP,
                date("dup_date", "UTC day of kafka_timestamp"),
            ]
        ),
        key=_KEY,
        partitioned_by=("dup_date",),
        high_cardinality=("message_id",),
        stats_columns=("partition", "offset", "kafka_timestamp"),
    )


def dead_letters(exchange: Exchange) -> Table:
    """The table of records that are no valid trade, with every reason."""
    return Table(
        name=f"dlq_{exchange.name}_trades",
        version=2,
        layer=Layer.SILVER,
        comment=f"{exchange.title} records that did not decode or broke a rule, with all reasons.",
        schema=pa.schema(
            [
                column("raw_record", pa.binary(), "Message value, untouched"),
                column(
                    "error_type",
                    pa.string(),
                    "decode, schema, rule, or filler: an id that the exchange gave to no trade",
                    required=True,
                ),
                column("error_reasons", list_of(pa.string()), "Every reason", required=True),
                column("stage", pa.string(), "Where it failed", required=True),
                column(
                    "message_id",
                    pa.string(),
                    "What its id as a trade is; null where it did not decode or has no time",
                ),
                *COORDINATES,
                SCHEMA_ID,
                KAFKA_TIMESTAMP,
                column(
                    "error_timestamp",
                    TIMESTAMP_US_UTC,
                    "Broker time of the record: a replay gives the same row",
                    required=True,
                ),
                date("dlq_date", "UTC day of kafka_timestamp"),
            ]
        ),
        key=_KEY,
        partitioned_by=("dlq_date",),
        stats_columns=("partition", "offset", "kafka_timestamp", "error_type", "schema_id"),
    )


def resolutions(exchange: Exchange) -> Table:
    """The table of one exchange's resolved dead letters, each once."""
    return Table(
        name=f"dlq_{exchange.name}_resolutions",
        layer=Layer.SILVER,
        comment=f"{exchange.title} dead letters that a replay resolved: what they are, when, how.",
        schema=pa.schema(
            [
                *COORDINATES,
                column(
                    "outcome",
                    pa.string(),
                    "trade: it is in Silver now; duplicate: Silver had its trade already",
                    required=True,
                ),
                column("message_id", pa.string(), "The trade's id in Silver", required=True),
                column("replay_id", pa.string(), "Which replay", required=True),
                column(
                    "resolved_at", TIMESTAMP_US_UTC, "When that was decided, UTC", required=True
                ),
                KAFKA_TIMESTAMP,
                date("resolved_date", "UTC day of resolved_at"),
            ]
        ),
        key=("topic", "partition", "offset"),
        partitioned_by=("resolved_date",),
        stats_columns=("partition", "offset", "kafka_timestamp", "resolved_at"),
    )

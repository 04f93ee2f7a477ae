"""Bronze: every Kafka record as it came, nothing interpreted but the schema id in its header."""

import pyarrow as pa

from k2.exchanges.exchange import Exchange
from k2.storage.columns import (
    COORDINATES,
    KAFKA_TIMESTAMP,
    SCHEMA_ID,
    TIMESTAMP_US_UTC,
    column,
    date,
    list_of,
)
from k2.storage.table import Layer, Table

_HEADERS = list_of(pa.struct([("key", pa.string()), ("value", pa.binary())]))


def bronze_trades(exchange: Exchange) -> Table:
    """The table of one exchange's raw records."""
    return Table(
        name=f"bronze_{exchange.name}_trades",
        layer=Layer.BRONZE,
        comment=f"{exchange.title} records as Kafka delivered them, one row an offset.",
        schema=pa.schema(
            [
                column("key", pa.binary(), "Message key"),
                column("value", pa.binary(), "Message value, untouched"),
                column("headers", _HEADERS, "Message headers"),
                *COORDINATES,
                KAFKA_TIMESTAMP,
                SCHEMA_ID,
                column("ingested_at", TIMESTAMP_US_UTC, "When Bronze read it, UTC", required=True),
                date("ingest_date", "UTC day of kafka_timestamp"),
            ]
        ),
        key=("topic", "partition", "offset"),
        partitioned_by=("ingest_date",),
        high_cardinality=("value",),
        stats_columns=("partition", "offset", "kafka_timestamp", "schema_id"),
    )

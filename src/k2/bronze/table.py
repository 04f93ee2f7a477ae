"""Bronze: every Kafka record as it came, nothing interpreted but the schema id in its header."""

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from k2.exchanges.exchange import Exchange
from k2.storage.columns import COORDINATES, KAFKA_TIMESTAMP, SCHEMA_ID, column, date
from k2.storage.table import Layer, Table

_HEADERS = ArrayType(
    StructType([StructField("key", StringType()), StructField("value", BinaryType())])
)


def bronze_trades(exchange: Exchange) -> Table:
    """The table of one exchange's raw records."""
    return Table(
        name=f"bronze_{exchange.name}_trades",
        layer=Layer.BRONZE,
        comment=f"{exchange.title} records as Kafka delivered them, one row an offset.",
        schema=StructType(
            [
                column("key", BinaryType(), "Message key"),
                column("value", BinaryType(), "Message value, untouched"),
                column("headers", _HEADERS, "Message headers"),
                *COORDINATES,
                KAFKA_TIMESTAMP,
                SCHEMA_ID,
                column("ingested_at", TimestampType(), "When Bronze read it, UTC", required=True),
                date("ingest_date", "UTC day of kafka_timestamp"),
            ]
        ),
        key=("topic", "partition", "offset"),
        partitioned_by=("ingest_date",),
        high_cardinality=("value",),
        stats_columns=("partition", "offset", "kafka_timestamp", "schema_id"),
    )

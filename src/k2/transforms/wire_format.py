"""The Confluent wire format: a zero byte, a four-byte schema id, then Avro.

Source: Confluent's schema registry documents, "wire format".
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

HEADER_LENGTH = 5


def schema_id(value: Column) -> Column:
    """Return the schema id (INT) in a record's header; null where there is no such header."""
    has_header = (F.length(value) >= HEADER_LENGTH) & (F.substring(value, 1, 1) == F.lit(b"\0"))
    # conv reads up to 32 unsigned bits; an id beyond INT is nobody's and becomes null.
    number = F.conv(F.hex(F.substring(value, 2, 4)), 16, 10)
    return F.when(has_header, number.try_cast("int"))


def to_bronze(records: DataFrame) -> DataFrame:
    """Shape Kafka's records as Bronze rows; key, value and headers stay as they are.

    In: Kafka's source columns with headers, and ``ingested_at``. Out: the columns of
    :func:`k2.tables.bronze_trades`. Every record is one row.
    """
    return records.select(
        "key",
        "value",
        "headers",
        "topic",
        "partition",
        "offset",
        F.col("timestamp").alias("kafka_timestamp"),
        schema_id(F.col("value")).alias("schema_id"),
        "ingested_at",
        F.to_date("timestamp").alias("ingest_date"),
    )

"""Read a batch that Spark cannot read, with K2's own Kafka client.

Spark (4.0) turns a record's timestamp into microseconds before anybody sees the record. A producer that
writes nanoseconds where Kafka counts milliseconds gives a number too large for that, and each try of the
batch ends with "long overflow".
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa
from confluent_kafka import Message

from k2.avro.wire_format import NEEDED
from k2.connectors.committed_reader import CommittedReader, offset_of
from k2.storage.checkpoints.kafka_offsets import first_offsets, planned_ends

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_OVERFLOW = "long overflow"
_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_RECORDS = pa.schema(
    [
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", _HEADERS),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.int64()),  # milliseconds, as Kafka has them
    ]
)


def reread(
    spark: "SparkSession",
    checkpoint: Path,
    bootstrap: str,
    topic: str,
    batch: int,
    error: Exception,
) -> "DataFrame | None":
    """Return the records of a planned batch; None when ``error`` has nothing to do with timestamps.

    They have the columns that Bronze reads from Spark's source, with ``timestamp`` as whole milliseconds.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    ends = planned_ends(checkpoint, topic, batch)
    if _OVERFLOW not in str(error) or ends is None:
        return None
    starts = planned_ends(checkpoint, topic, batch - 1) if batch else None
    starts = first_offsets(checkpoint, topic) if starts is None else starts
    reader = CommittedReader(bootstrap)
    rows = [
        _row(message)
        for partition, end in sorted(ends.items())
        if starts.get(partition, 0) < end
        for message in reader.messages(topic, partition, starts.get(partition, 0), end)
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=_RECORDS)).select(*NEEDED)


def _row(message: Message) -> dict[str, object]:
    headers = cast("list[tuple[str, bytes | None]] | None", message.headers())
    return {
        "key": message.key(),
        "value": message.value(),
        "headers": headers and [{"key": key, "value": value} for key, value in headers],
        "partition": message.partition(),
        "offset": offset_of(message),
        "timestamp": message.timestamp()[1],
    }

"""The Confluent wire format: a zero byte, a four-byte schema id, then Avro.

Source: Confluent's schema registry documents, "wire format".
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from k2.avro.broker_times import broker_times, with_marks
from k2.avro.payloads import PayloadBuffer

HEADER_LENGTH = 5
# Of Kafka's records, by the names that Spark's source gives.
NEEDED = ("key", "value", "headers", "partition", "offset", "timestamp")
_MAGIC = 0


def to_bronze(records: pa.Table, topic: str, ingested_at: datetime) -> pa.Table:
    """Shape Kafka's records as Bronze rows; key, value and headers stay as they are.

    A timestamp that no table can hold becomes the nearest possible one, and a header has the original.

    Args:
        records: the columns of ``NEEDED``.
        topic: where they are from.
        ingested_at: when they were read, the same for a batch that runs again.

    Returns:
        The columns of :func:`k2.bronze.table.bronze_trades`. Every record is one row.
    """
    count, instant = records.num_rows, pa.timestamp("us", "UTC")
    received, unfit = broker_times(records["timestamp"])
    columns = {
        **{name: records[name] for name in ("key", "value")},
        "headers": with_marks(records["headers"], unfit),
        "topic": pa.repeat(pa.scalar(topic), count),
        **{name: records[name] for name in ("partition", "offset")},
        "kafka_timestamp": received,
        "schema_id": schema_ids(PayloadBuffer.of(records["value"])),
        "ingested_at": pa.repeat(pa.scalar(ingested_at, instant), count),
        "ingest_date": received.cast(pa.date32()),
    }
    return pa.table(columns)


def schema_ids(values: PayloadBuffer) -> pa.Array:
    """Return the schema id (int32) in each record's header; null where there is no such header.

    An id beyond 31 bits cannot exist and is null too.
    """
    ids, framed = header(values)
    return pc.if_else(pa.array(framed & (ids < 2**31)), pa.array(ids), None).cast(pa.int32())


def header(values: PayloadBuffer) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the number where a schema id would be, and whether there is such a header."""
    words = values.words[values.starts]
    ids = (words >> np.uint64(8)).astype(np.uint32).byteswap().astype(np.int64)
    is_magic = (words & np.uint64(0xFF)) == _MAGIC
    return ids, values.valid & is_magic & (values.lengths >= HEADER_LENGTH)

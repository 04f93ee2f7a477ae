"""Timestamps in other units are kept as far as they fit, marked, and never make a table unreadable."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from k2.avro.broker_times import MARK
from k2.avro.wire_format import to_bronze
from k2.bronze.table import bronze_trades
from k2.exchanges.kraken import KRAKEN
from k2.storage.delta import ensure_table, table_path
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId

pytestmark = pytest.mark.unit

NOW = 1_783_416_601_234  # milliseconds
LAST, FIRST = datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC), datetime(1900, 1, 1, tzinfo=UTC)
SAID = {
    "milliseconds": (NOW, datetime(2026, 7, 7, 9, 30, 1, 234_000, UTC)),
    "none": (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)),
    "seconds": (NOW // 1000, datetime(1970, 1, 21, 15, 23, 36, 601_000, UTC)),
    "the last that fits": (253_402_300_799_999, LAST),
}
UNFIT = {
    "the first that does not": (253_402_300_800_000, LAST),
    "microseconds": (NOW * 1000, LAST),
    "nanoseconds": (NOW * 1_000_000, LAST),
    "the largest number": (2**63 - 1, LAST),
    "long ago": (-(10**15), FIRST),
    "the smallest number": (-(2**63), FIRST),
}
HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


def shaped(times, headers=None):
    count = len(times)
    records = pa.table(
        {
            "key": pa.array([None] * count, pa.binary()),
            "value": pa.array([b"x"] * count, pa.binary()),
            "headers": pa.array([headers] * count, HEADERS),
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "timestamp": times,
        }
    )
    return to_bronze(records, KRAKEN.topic, datetime(2026, 7, 7, tzinfo=UTC))


def as_spark_gives(milliseconds):
    return pa.array([said * 1000 for said in milliseconds]).cast(pa.timestamp("us", "UTC"))


@pytest.mark.parametrize("unit", SAID)
def test_a_time_that_fits_is_kept_and_not_marked(unit):
    said, wanted = SAID[unit]

    for times in (pa.array([said], pa.int64()), as_spark_gives([said])):
        (row,) = shaped(times).to_pylist()
        assert (row["kafka_timestamp"], row["headers"]) == (wanted, None)
        assert row["ingest_date"] == wanted.date()


@pytest.mark.parametrize("unit", UNFIT)
def test_a_time_that_does_not_fit_is_the_nearest_that_does_and_marked(unit):
    said, wanted = UNFIT[unit]

    (row,) = shaped(pa.array([said], pa.int64()), [{"key": "a", "value": b"b"}]).to_pylist()

    assert row["kafka_timestamp"] == wanted
    assert row["headers"] == [
        {"key": "a", "value": b"b"},
        {"key": MARK, "value": str(said).encode()},
    ]


def test_microseconds_as_spark_gives_them_are_marked_and_others_beside_them_are_exact():
    rows = shaped(as_spark_gives([NOW, NOW * 1000])).to_pylist()

    assert [row["kafka_timestamp"] for row in rows] == [SAID["milliseconds"][1], LAST]
    assert [row["headers"] for row in rows] == [
        None,
        [{"key": MARK, "value": str(NOW * 1000).encode()}],
    ]


def test_a_table_with_such_times_can_be_written_and_read(tmp_path):
    table = bronze_trades(KRAKEN)
    ensure_table(tmp_path, table)
    said = [time for time, _ in (*SAID.values(), *UNFIT.values())]

    ArrowWriter(tmp_path).append(table, TxnId("a/v1", 0), shaped(pa.array(said, pa.int64())))

    stored = DeltaTable(table_path(tmp_path, table))
    times = stored.to_pyarrow_table().sort_by("offset")["kafka_timestamp"].to_pylist()
    assert times == [wanted for _, wanted in (*SAID.values(), *UNFIT.values())]
    assert stored.get_add_actions(flatten=True).num_rows > 0

"""Kafka's records as Bronze rows: nothing interpreted but the schema id."""

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import functions as F

from k2.exchanges.binance import BINANCE
from k2.tables import bronze_trades
from k2.transforms.wire_format import schema_id, to_bronze

pytestmark = pytest.mark.unit

IDS = {
    b"\0\0\0\0\7rest": 7,
    b"\0\0\0\0\7": 7,
    b"\0\0\0\0\0": 0,
    b"\0\1\2\3\4x": 0x01020304,
    b"\0\x7f\xff\xff\xff": 2**31 - 1,
    b"\0\x80\0\0\0": None,
    b"\0\xff\xff\xff\xff": None,
    b"\1\0\0\0\7rest": None,
    b"{}": None,
    b"\0\0\0\7": None,
    b"\0": None,
    b"": None,
    None: None,
}
LAST_MICROSECOND = datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC)


@pytest.fixture(scope="module")
def found(spark):
    rows = spark.createDataFrame([(value,) for value in IDS], "value binary")
    read = rows.select("value", schema_id(F.col("value")).alias("id")).collect()
    return {None if row.value is None else bytes(row.value): row.id for row in read}


@pytest.mark.parametrize("value", IDS)
def test_the_schema_id_is_the_headers_or_none(found, value):
    assert found[value] == IDS[value]


def test_every_byte_of_a_record_is_kept(spark):
    kafka = (
        "key binary, value binary, headers array<struct<key string, value binary>>, topic string,"
        " partition int, offset bigint, timestamp timestamp, ingested_at timestamp"
    )
    every_byte = bytes(range(256)) * 4096
    headers = [("h", b"\xff"), ("h", None), ("", b"")]
    values = [every_byte, None, b"", b"\xff\xfe"]
    records = spark.createDataFrame(
        [
            (None, value, headers, "t", 3, offset, LAST_MICROSECOND, LAST_MICROSECOND)
            for offset, value in enumerate(values)
        ],
        kafka,
    )

    bronze = to_bronze(records)

    assert bronze.columns == bronze_trades(BINANCE).columns
    rows = bronze.sort("offset").collect()
    assert [row.value if row.value is None else bytes(row.value) for row in rows] == values
    assert {(row.key, row.topic, row.partition, row.ingest_date) for row in rows} == {
        (None, "t", 3, date(2026, 12, 31))
    }
    kept = [(h.key, h.value if h.value is None else bytes(h.value)) for h in rows[0].headers]
    assert kept == headers

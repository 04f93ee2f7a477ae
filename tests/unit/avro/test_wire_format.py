"""Kafka's records as Bronze rows: nothing interpreted but the schema id."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from k2.avro.payloads import PayloadBuffer
from k2.avro.wire_format import NEEDED, schema_ids, to_bronze
from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE

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
def found():
    ids = schema_ids(PayloadBuffer.of(pa.array(IDS, pa.binary())))
    return dict(zip(IDS, ids.to_pylist(), strict=True))


@pytest.mark.parametrize("value", IDS)
def test_the_schema_id_is_the_headers_or_none(found, value):
    assert found[value] == IDS[value]


@pytest.mark.parametrize("pieces", [[[]], [], [[b"\0\0\0\0\1"], [], [None, b"\0\0\0\0\2"]]])
def test_records_come_in_any_number_of_pieces(pieces):
    column = pa.chunked_array([pa.array(piece, pa.binary()) for piece in pieces], pa.binary())

    ids = schema_ids(PayloadBuffer.of(column)).to_pylist()

    assert ids == [1, None, 2][: len(column)]


def test_a_part_of_a_column_is_read_from_its_own_start():
    column = pa.array([b"\0\0\0\0\1", None, b"\0\0\0\0\2", b"x"], pa.binary())

    assert schema_ids(PayloadBuffer.of(column.slice(1, 2))).to_pylist() == [None, 2]


def test_every_byte_of_a_record_is_kept():
    every_byte = bytes(range(256)) * 4096
    headers = [("h", b"\xff"), ("h", None), ("", b"")]
    values = [every_byte, None, b"", b"\xff\xfe"]
    table = bronze_trades(BINANCE)
    kept = [{"key": key, "value": value} for key, value in headers]
    records = pa.table(
        {
            "key": pa.nulls(4, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "headers": pa.array([kept] * 4, HEADERS),
            "partition": pa.array([3] * 4, pa.int32()),
            "offset": pa.array(range(4), pa.int64()),
            "timestamp": pa.array([LAST_MICROSECOND] * 4, pa.timestamp("us", "UTC")),
        }
    )
    assert records.column_names == list(NEEDED)

    bronze = to_bronze(records, "t", LAST_MICROSECOND)

    assert bronze.column_names == table.columns
    rows = bronze.to_pylist()
    assert [row["value"] for row in rows] == values
    assert {(row["key"], row["topic"], row["partition"], row["ingest_date"]) for row in rows} == {
        (None, "t", 3, date(2026, 12, 31))
    }
    assert {row["ingested_at"] for row in rows} == {LAST_MICROSECOND}
    assert rows[0]["headers"] == kept


HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from k2.storage.parquet_encoding import QUICK, layout
from k2.storage.table import Layer, Table

pytestmark = pytest.mark.unit

KINDS = {
    "id": pa.string(),
    "market": pa.string(),
    "number": pa.int64(),
    "time": pa.timestamp("us", "UTC"),
    "price": pa.decimal128(18, 8),
}
TABLE = Table(
    name="trades",
    layer=Layer.SILVER,
    comment="",
    schema=pa.schema(KINDS.items()),
    key=("id",),
    partitioned_by=(),
    high_cardinality=("id",),
)
ROWS = pa.table(
    {
        "id": [f"binance-20250601-{n:032x}" for n in range(1000)],
        "market": ["BTC-USDT"] * 1000,
        "number": pa.array(range(1000), pa.int64()),
        "time": pa.array([datetime(2025, 6, 1, tzinfo=UTC)] * 1000, pa.timestamp("us", "UTC")),
        "price": pa.array([Decimal(n).scaleb(-8) for n in range(1000)], pa.decimal128(18, 8)),
    }
)


def encodings(folder: Path) -> dict[str, set[str]]:
    (file,) = folder.glob("*.parquet")
    group = pq.ParquetFile(file).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {column.path_in_schema: set(column.encodings) for column in columns}


def test_numbers_and_unlike_texts_are_stored_as_differences(tmp_path):
    write_deltalake(tmp_path, ROWS, writer_properties=layout(TABLE, QUICK))

    stored = encodings(tmp_path)
    assert "DELTA_BINARY_PACKED" in stored["number"] & stored["time"]
    assert "DELTA_BYTE_ARRAY" in stored["id"]


def test_only_what_repeats_has_a_dictionary(tmp_path):
    write_deltalake(tmp_path, ROWS, writer_properties=layout(TABLE, QUICK))

    stored = encodings(tmp_path)
    assert {name for name in stored if "RLE_DICTIONARY" in stored[name]} == {"market"}


def test_it_is_smaller_than_the_writers_own_choice(tmp_path):
    write_deltalake(tmp_path / "own", ROWS)
    write_deltalake(tmp_path / "ours", ROWS, writer_properties=layout(TABLE, QUICK))

    own, ours = (
        sum(file.stat().st_size for file in (tmp_path / name).glob("*.parquet"))
        for name in ("own", "ours")
    )
    assert ours < own / 2

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from k2.storage.parquet_encoding import QUICK, grouped, layout
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


GROUPED = replace(TABLE, grouped_by=("market",))


def test_rows_of_a_group_lie_together_in_the_order_in_which_they_came():
    rows = pa.table({"market": ["b", "a", None, "b", "a", None], "number": [1, 2, 3, 4, 5, 6]})

    found = grouped(rows, GROUPED)

    numbers = found["number"].to_pylist()
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    of_each = {market: [] for market in (None, "a", "b")}
    for market, number in zip(found["market"].to_pylist(), numbers, strict=True):
        of_each[market].append(number)
    assert of_each == {"b": [1, 4], "a": [2, 5], None: [3, 6]}
    assert all(abs(numbers.index(one) - numbers.index(two)) == 1 for one, two in of_each.values())


@pytest.mark.parametrize("count", [0, 1])
def test_where_there_is_nothing_to_order_rows_stay(count):
    rows = ROWS.slice(0, count)

    assert grouped(rows, GROUPED).equals(rows)


def test_as_many_groups_as_rows_are_in_order_too():
    markets = [f"market {number % 40_000:05}" for number in range(80_000)]
    rows = pa.table({"market": markets, "number": range(80_000)})

    found = grouped(rows, GROUPED)["number"].to_numpy()

    assert (found[1::2] - found[::2] == 40_000).all()


def test_a_file_whose_rows_are_grouped_has_parts_that_a_reader_passes_over(tmp_path):
    count = 20_000
    rows = pa.table(
        {name: pa.nulls(count, kind) for name, kind in KINDS.items()}
        | {"market": [f"{'AB'[n % 2]}-USDT" for n in range(count)]}
    )

    write_deltalake(tmp_path, grouped(rows, GROUPED), writer_properties=layout(GROUPED, QUICK))

    (file,) = tmp_path.glob("*.parquet")
    metadata = pq.ParquetFile(file).metadata
    place = metadata.schema.names.index("market")
    spans = [metadata.row_group(n).column(place).statistics for n in range(metadata.num_row_groups)]
    assert [(span.min, span.max) for span in spans] == [
        ("A-USDT", "A-USDT"),
        ("A-USDT", "B-USDT"),
        ("B-USDT", "B-USDT"),
    ]

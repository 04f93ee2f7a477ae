"""Files written as their rows come: of each partition its own, as large as they may be, and no larger."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from k2.exchanges.binance import BINANCE
from k2.silver.tables import silver_trades
from k2.storage import parquet_encoding
from k2.storage.maintenance import large_files
from k2.storage.maintenance.large_files import write_files
from k2.storage.parquet_encoding import COMPACT, QUICK
from tests.support.trades import BROKER_TIME, TRADE_TIME, silver_row

pytestmark = pytest.mark.unit

SILVER = silver_trades(BINANCE)


def trades(first, count, days=1):
    """Trades of some days in turn, a second apart."""
    rows = []
    for offset in range(first, first + count):
        at = TRADE_TIME + timedelta(days=offset % days, seconds=offset)
        rows.append(silver_row(BINANCE, offset, timestamp=at, exchange_date=at.date()))
    return pa.Table.from_pylist(rows, schema=SILVER.row_schema)


def offsets(folder, add):
    return pq.read_table(folder / unquote(add.path), columns=["offset"], partitioning=None)[
        "offset"
    ].to_pylist()


def test_each_partition_has_a_file_of_its_own_with_its_rows_in_order(tmp_path):
    written = write_files(
        SILVER, [trades(0, 10, days=2), trades(10, 10, days=2)], tmp_path, COMPACT
    )

    found = {add.partition_values["exchange_date"]: offsets(tmp_path, add) for add in written}
    first = TRADE_TIME.date()
    assert found == {
        str(first): list(range(0, 20, 2)),
        str(first + timedelta(days=1)): list(range(1, 20, 2)),
    }


def test_a_file_says_what_the_table_keeps_of_its_columns_and_no_more(tmp_path):
    (add,) = write_files(SILVER, [trades(0, 10)], tmp_path, COMPACT)

    stats = orjson.loads(add.stats)
    assert stats["numRecords"] == 10
    assert set(stats["minValues"]) == set(stats["maxValues"]) == set(SILVER.stats_columns)
    assert (stats["minValues"]["offset"], stats["maxValues"]["offset"]) == (0, 9)
    assert stats["minValues"]["kafka_timestamp"].startswith(BROKER_TIME.strftime("%Y-%m-%dT%H:%M"))
    assert add.data_change is False


def test_each_of_what_is_given_is_a_row_group(tmp_path):
    (add,) = write_files(SILVER, [trades(0, 10), trades(10, 7)], tmp_path, COMPACT)

    file = pq.ParquetFile(tmp_path / unquote(add.path))
    groups = range(file.metadata.num_row_groups)
    assert [file.metadata.row_group(group).num_rows for group in groups] == [10, 7]


def test_a_streams_merged_files_have_the_parts_of_its_other_files(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_encoding, "_ROWS_OF_A_PART", 4)
    by_market = replace(SILVER, grouped_by=("symbol",))

    (add,) = write_files(by_market, [trades(0, 10)], tmp_path, QUICK)

    file = pq.ParquetFile(tmp_path / unquote(add.path))
    groups = range(file.metadata.num_row_groups)
    assert [file.metadata.row_group(group).num_rows for group in groups] == [4, 4, 2]


def test_a_file_that_is_large_enough_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(large_files, "_FILE_BYTES", 1)

    written = write_files(SILVER, [trades(0, 5), trades(5, 5), trades(10, 5)], tmp_path, COMPACT)

    assert sorted(offsets(tmp_path, add)[0] for add in written) == [0, 5, 10]


def test_no_rows_are_no_files(tmp_path):
    assert write_files(SILVER, [], tmp_path, COMPACT) == []


def test_numbers_and_texts_are_encoded_as_in_a_streams_files(tmp_path):
    (add,) = write_files(SILVER, [trades(0, 1_000)], tmp_path, COMPACT)

    group = pq.ParquetFile(tmp_path / unquote(add.path)).metadata.row_group(0)
    columns = {(c := group.column(n)).path_in_schema: c for n in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["offset"].encodings
    assert "DELTA_BYTE_ARRAY" in columns["message_id"].encodings
    assert "RLE_DICTIONARY" in columns["symbol"].encodings
    assert "RLE_DICTIONARY" not in columns["price"].encodings
    assert {column.compression for column in columns.values()} == {"ZSTD"}


MUCH = """
import sys
from pathlib import Path
import pyarrow as pa
from k2.malloc import limit_retention
limit_retention()
from k2.exchanges.binance import BINANCE
from k2.silver.tables import silver_trades
from k2.storage.maintenance.large_files import write_files
from tests.support.trades import silver_row

table = silver_trades(BINANCE)
some = pa.concat_tables([pa.Table.from_pylist([silver_row(BINANCE, 0)], schema=table.row_schema)] * 20_000)

def anonymous():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

largest = {}
def rows(count):
    for _ in range(count):
        yield some.combine_chunks()
        largest[count] = max(largest.get(count, 0), anonymous())

for count in (5, 50):
    write_files(table, rows(count), Path(sys.argv[1]) / str(count), 9)
print(largest[50] - largest[5])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much a process has")
def test_memory_does_not_grow_with_a_partition(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", MUCH, tmp_path], capture_output=True, text=True, check=True
    )

    assert int(said.stdout) < 40_000  # KB: ten times the rows would be 300 MB more

"""Packed files hold the rows of those that they replace, by market, and nobody is kept from writing."""

import json
from datetime import timedelta
from itertools import pairwise

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.errors import FailedError
from k2.exchanges.binance import BINANCE
from k2.silver.tables import dead_letters, silver_trades
from k2.storage.delta import folder_of, open_table, table_path
from k2.storage.maintenance import compaction
from k2.storage.maintenance import small_files as after_commit
from k2.storage.maintenance.compaction import (
    StoredFile,
    compact,
    worth_compacting,
    write_compacted,
)
from k2.storage.maintenance.vacuum import files_of
from tests.support.trades import (
    BROKER_TIME,
    TRADE_TIME,
    append,
    append_bronze,
    append_silver,
    bronze_rows,
    silver_row,
)

pytestmark = pytest.mark.unit

SILVER = silver_trades(BINANCE)
DAY = (("exchange_date", "2026-07-07"),)
MARKETS = ("ETH-USDT", "BTC-USDT", "SOL-USDT")


def silver(lake, commits=3):
    """A table of a trade of each market a commit, a millisecond apart."""
    for number in range(commits):
        at = TRADE_TIME + timedelta(milliseconds=number)
        changes = {"timestamp": at, "kafka_timestamp": BROKER_TIME + timedelta(seconds=number)}
        rows = [
            silver_row(BINANCE, number * len(MARKETS) + place, symbol=symbol, **changes)
            for place, symbol in enumerate(MARKETS)
        ]
        append_silver(lake, BINANCE, rows)
    return open_table(lake, SILVER)


def by_offset(stored):
    return stored.to_pyarrow_table().sort_by("offset")


def actions(stored):
    folder = folder_of(stored) / "_delta_log"
    lines = (folder / f"{stored.version():020}.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def files_on_disk(lake):
    return {path for path in table_path(lake, SILVER).rglob("*.parquet")}


def test_packing_changes_files_and_no_rows(tmp_path):
    stored = silver(tmp_path)
    rows = by_offset(stored)

    compact(stored, SILVER, DAY)

    assert files_of(stored).files == 1
    assert by_offset(stored) == rows
    assert by_offset(open_table(tmp_path, SILVER)) == rows


def test_the_commit_says_that_no_data_changed(tmp_path):
    stored = silver(tmp_path)

    compact(stored, SILVER, DAY)

    changes = [a[k]["dataChange"] for a in actions(stored) for k in ("add", "remove") if k in a]
    assert changes == [False] * 4


def test_rows_lie_by_market_and_time(tmp_path):
    stored = silver(tmp_path)

    compact(stored, SILVER, DAY)

    (file,) = stored.file_uris()
    lying = pq.read_table(file.removeprefix("file://"), partitioning=None).to_pylist()
    keys = [(row["symbol"], row["timestamp"], row["offset"]) for row in lying]
    assert keys == sorted(keys)
    assert keys[0][0] != keys[-1][0]


def test_rows_are_sorted_a_portion_at_a_time_so_that_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "_SORTED_AT_ONCE", 6)
    stored = silver(tmp_path, commits=5)
    rows = by_offset(stored)

    compact(stored, SILVER, DAY)

    (file,) = stored.file_uris()
    symbols = pq.read_table(file.removeprefix("file://"), partitioning=None)["symbol"].to_pylist()
    # delta-rs may write the portions in another order, but each as it is.
    assert sum(later < earlier for earlier, later in pairwise(symbols)) == 2
    assert by_offset(stored) == rows


def test_the_log_keeps_what_skipping_needs(tmp_path):
    stored = silver(tmp_path)

    compact(stored, SILVER, DAY)

    (add,) = (action["add"] for action in actions(stored) if "add" in action)
    stats = json.loads(add["stats"])
    assert stats["numRecords"] == 9
    assert stats["minValues"]["symbol"] == "BTC-USDT"
    assert stats["maxValues"]["offset"] == 8
    assert stats["minValues"].keys() == set(SILVER.stats_columns)


def test_the_files_have_the_columns_laid_out_for_what_they_hold(tmp_path):
    stored = silver(tmp_path)

    compact(stored, SILVER, DAY)

    (file,) = stored.file_uris()
    group = pq.ParquetFile(file.removeprefix("file://")).metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["offset"].encodings
    assert "DELTA_BYTE_ARRAY" in columns["message_id"].encodings


def test_all_readers_find_the_same(tmp_path, spark):
    stored = silver(tmp_path)
    before = by_offset(stored).to_pylist()

    compact(stored, SILVER, DAY)

    path = str(table_path(tmp_path, SILVER))
    in_spark = spark.read.format("delta").load(path).orderBy("offset").toArrow()
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        database.register("stored", DeltaTable(path).to_pyarrow_dataset())
        in_duckdb = database.sql('select * from stored order by "offset"').to_arrow_table()
    assert in_spark.to_pylist() == before
    assert in_duckdb.to_pylist() == before


@pytest.mark.parametrize("table", [bronze_trades(BINANCE), dead_letters(BINANCE)])
def test_tables_without_an_order_are_packed_too(tmp_path, table):
    if table == bronze_trades(BINANCE):
        for offset in range(3):
            append_bronze(tmp_path, BINANCE, [b"x" * offset], offset)
    else:
        for offset in range(3):
            append(tmp_path, table, [dead_letter(offset)])
    stored = open_table(tmp_path, table)
    rows = by_offset(stored).to_pylist()
    (partition,) = {file.partition for file in compaction.small_files(stored)}

    compact(stored, table, partition)

    assert files_of(stored).files == 1
    assert by_offset(stored).to_pylist() == rows


def dead_letter(offset):
    (record,) = bronze_rows(BINANCE, [b"rubbish"], offset)
    common = ("topic", "partition", "offset", "schema_id", "kafka_timestamp")
    return {name: record[name] for name in common} | {
        "raw_record": record["value"],
        "error_type": "rule",
        "error_reasons": ["price", "side"][: offset % 3],
        "stage": "screen",
        "error_timestamp": record["kafka_timestamp"],
        "dlq_date": record["kafka_timestamp"].date(),
    }


def test_one_small_file_is_left_alone(tmp_path):
    stored = silver(tmp_path, commits=1)

    assert write_compacted(stored, SILVER, DAY) is None


def test_large_files_are_not_written_again_and_again(tmp_path, monkeypatch):
    stored = silver(tmp_path, commits=60)
    compact(stored, SILVER, DAY)
    (large,) = stored.file_uris()
    size = files_of(stored).bytes
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 100)])
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 101)])
    stored.update_incremental()
    monkeypatch.setattr(compaction, "_LARGE_ENOUGH", size)
    smaller = [file for file in compaction.small_files(stored) if file.bytes < size]

    packed = write_compacted(stored, SILVER, DAY)

    assert len(smaller) == 2
    assert packed is not None
    assert packed.replaced == smaller
    assert packed.commit(stored)
    assert large in stored.file_uris()


def stored_files(*sizes):
    return [StoredFile(n, f"file-{n}", size, 1, DAY) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ((10, 10, 10), (10, 10, 10)),
        ((10, 40, 200), (10, 40, 200)),
        ((1_000, 10), ()),
        ((1_000, 10, 30), (10, 30)),
        ((1_000, 10, 240), ()),
        ((1_000, 10, 40, 200), (1_000, 10, 40, 200)),
        ((10,), ()),
        ((), ()),
    ],
)
def test_a_file_much_larger_than_all_smaller_ones_is_not_written_again_for_them(sizes, chosen):
    assert tuple(file.bytes for file in worth_compacting(stored_files(*sizes))) == chosen


def test_an_hour_to_which_late_trades_come_is_seldom_written_again():
    files, written = stored_files(1_000_000), 0
    for _ in range(200):  # as often late trades come, a thousandth of it
        files += [StoredFile(0, f"late-{written}-{len(files)}", 1_000, 1, DAY)]
        chosen = worth_compacting(files)
        if chosen:
            size = sum(file.bytes for file in chosen)
            left = [file for file in files if file not in chosen]
            files = [*left, StoredFile(0, f"compacted-{written}-{len(left)}", size, 1, DAY)]
            written += size

    assert written < 12_000_000  # it was 220 times a million
    assert len(files) < 10


def test_other_partitions_are_left_alone(tmp_path):
    silver(tmp_path)
    for offset in (50, 51):
        append_silver(
            tmp_path,
            BINANCE,
            [silver_row(BINANCE, offset, timestamp=TRADE_TIME + timedelta(days=1))],
        )
    stored = open_table(tmp_path, SILVER)

    compact(stored, SILVER, DAY)

    assert files_of(stored).files == 3


def test_rows_that_come_while_files_are_packed_stay(tmp_path):
    stored = silver(tmp_path)
    packed = write_compacted(stored, SILVER, DAY)
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 100)])

    assert packed.commit(stored)

    assert by_offset(stored)["offset"].to_pylist() == [*range(9), 100]


def test_nothing_is_replaced_when_the_stream_has_merged_the_files_meanwhile(tmp_path):
    stored = silver(tmp_path)
    rows = by_offset(stored)
    packed = write_compacted(stored, SILVER, DAY)
    merging = open_table(tmp_path, SILVER)
    merging.optimize.compact()
    before = files_on_disk(tmp_path) - {
        table_path(tmp_path, SILVER) / a.path for a in packed.written
    }

    assert not packed.commit(stored)

    assert by_offset(stored) == rows
    assert files_on_disk(tmp_path) == before


def test_a_packing_that_was_killed_leaves_nothing_in_the_way(tmp_path):
    stored = silver(tmp_path)
    scratch = table_path(tmp_path, SILVER) / "_packing"
    (scratch / "_delta_log").mkdir(parents=True)
    (scratch / "_delta_log" / f"{0:020}.json").write_text("half of")

    compact(stored, SILVER, DAY)

    assert files_of(stored).files == 1
    assert not scratch.exists()


def test_a_packing_that_would_lose_rows_is_refused(tmp_path, monkeypatch):
    stored = silver(tmp_path)
    version, before = stored.version(), files_on_disk(tmp_path)
    whole = compaction._portions
    monkeypatch.setattr(
        compaction, "_portions", lambda *given: (part.slice(1) for part in whole(*given))
    )

    with pytest.raises(FailedError, match="of 9 rows 8 would be packed"):
        write_compacted(stored, SILVER, DAY)

    assert files_on_disk(tmp_path) == before
    assert open_table(tmp_path, SILVER).version() == version


def test_the_streams_own_merging_goes_on_after_it(tmp_path, monkeypatch):
    stored = silver(tmp_path)
    compact(stored, SILVER, DAY)
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 100)])
    stored.update_incremental()
    rows = by_offset(stored)
    monkeypatch.setattr(after_commit, "_LOOK_EVERY", 1)
    monkeypatch.setattr(after_commit, "_MERGE_FILES", 2)

    after_commit.merge_small_files(stored, SILVER)

    assert files_of(stored).files == 1
    assert by_offset(stored) == rows

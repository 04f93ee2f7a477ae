"""Files go when no version in the log refers to them: never before, and always then."""

import os
import time
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from k2.exchanges.binance import BINANCE
from k2.silver.tables import duplicates
from k2.storage.delta import ensure_table, properties, table_path
from k2.storage.maintenance import small_files
from k2.storage.maintenance.compaction import compact
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.maintenance.replaced_files import remove_replaced_files
from k2.storage.maintenance.vacuum import closed_partitions
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.maintained import LATENESS, checkpoint, one_row

pytestmark = pytest.mark.unit

TABLE = duplicates(BINANCE)
HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def often(monkeypatch):
    """Small files are merged after every fourth commit."""
    monkeypatch.setattr(small_files, "_LOOK_EVERY", 4)
    monkeypatch.setattr(small_files, "_MERGE_FILES", 4)


@pytest.fixture
def lake(tmp_path, often):
    lake = tmp_path / "my lake"
    write(ArrowWriter(lake), range(120))
    return lake


def write(writer, batches, day=7):
    ensure_table(writer.lake, TABLE)
    for batch in batches:
        writer.append(TABLE, TxnId("s/v1", batch), one_row(batch, day))


def stored(lake, version=None):
    return DeltaTable(table_path(lake, TABLE), version=version)


def data_files(lake):
    return set(table_path(lake, TABLE).glob("*/*.parquet"))


def age(lake, seconds):
    """Have all that is there been written so much earlier."""
    for path in lake.rglob("*"):
        if path.is_file():
            old = path.stat().st_mtime - seconds
            os.utime(path, (old, old))


def files_of(table):
    """The files of the version that a reader has opened."""
    return {Path(unquote(uri.removeprefix("file://"))) for uri in table.file_uris()}


def rows(table):
    return sorted(table.to_pyarrow_table()["offset"].to_pylist())


def test_what_a_version_in_the_log_refers_to_stays_however_old(lake):
    age(lake, 30 * DAY)
    before = data_files(lake)

    assert remove_replaced_files(stored(lake), HOUR) == 0

    assert data_files(lake) == before
    for version in (1, 60, 119):
        assert rows(stored(lake, version))


def test_what_none_refers_to_goes_and_the_table_is_whole(lake):
    age(lake, DAY)
    LogRetention(20, {}, HOUR).trim_log(stored(lake), TABLE)
    before = data_files(lake)

    dry = remove_replaced_files(stored(lake), HOUR, dry_run=True)
    assert data_files(lake) == before
    deleted = remove_replaced_files(stored(lake), HOUR)

    assert deleted == dry == len(before) - len(data_files(lake)) > 50
    assert rows(stored(lake)) == list(range(120))
    oldest = min(
        int(path.stem) for path in (table_path(lake, TABLE) / "_delta_log").glob("0*.json")
    )
    for version in range(oldest, stored(lake).version() + 1):
        assert rows(stored(lake, version))
    assert remove_replaced_files(stored(lake), HOUR) == 0


def test_a_reader_of_the_newest_version_has_the_hour_and_no_more(lake):
    retention = LogRetention(1, {}, HOUR)
    pinned = files_of(stored(lake))
    write(ArrowWriter(lake), range(120, 160))
    replaced = pinned - files_of(stored(lake))

    age(lake, HOUR - 60)
    retention.trim_log(stored(lake), TABLE)
    remove_replaced_files(stored(lake), HOUR)
    read_late = sum(pq.read_metadata(file).num_rows for file in pinned)
    age(lake, 120)
    retention.trim_log(stored(lake), TABLE)
    remove_replaced_files(stored(lake), HOUR)

    assert read_late == 120
    assert replaced
    assert not any(file.exists() for file in replaced)


def test_young_files_stay_which_a_writer_may_be_about_to_commit(lake):
    LogRetention(20, {}).trim_log(stored(lake), TABLE)
    uncommitted = table_path(lake, TABLE) / "dup_date=2026-07-07" / "part-of-a-writer.parquet"
    uncommitted.touch()
    os.utime(uncommitted, (time.time() - HOUR + 60,) * 2)

    remove_replaced_files(stored(lake), HOUR)

    assert uncommitted.exists()


def test_what_a_writer_that_died_left_goes_and_scratch_folders_stay(lake):
    folder = table_path(lake, TABLE)
    left = [
        folder / "dup_date=2026-07-07" / "part-of-one-that-died.parquet",
        folder / "dup_date=2026-07-07" / "part-half.parquet#1",
        folder / "_delta_log" / "00000000000000000007.json#1",
    ]
    scratch = folder / "_packing" / "half.parquet"
    scratch.parent.mkdir()
    for path in (*left, scratch):
        path.touch()
    (left[0].with_name(f".{left[0].name}.crc")).touch()
    age(lake, DAY)

    assert remove_replaced_files(stored(lake), HOUR) == len(left)

    assert not any(path.exists() for path in left)
    assert not list(folder.rglob(".part-of*"))
    assert scratch.exists()


def test_what_a_stream_has_not_read_is_neither_merged_nor_removed(tmp_path, often):
    lake = tmp_path / "lake"
    write(ArrowWriter(lake), range(60))
    reader = checkpoint(tmp_path / "reader", stored(lake), 41)
    retention = LogRetention(20, {TABLE.name: [reader]}, HOUR)
    write(ArrowWriter(lake, retention), range(60, 200))
    age(lake, 30 * DAY)
    retention.trim_log(stored(lake), TABLE)

    remove_replaced_files(stored(lake), HOUR)
    # Whatever another engine does of its own accord.
    stored(lake).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)

    active = {path for path in stored(lake).file_uris()}
    for version in range(41, stored(lake).version() + 1):
        log = table_path(lake, TABLE) / "_delta_log" / f"{version:020}.json"
        assert log.exists()
    assert len(active) >= 140
    assert rows(stored(lake)) == list(range(200))


def test_a_months_files_and_entries_are_bounded(tmp_path, often):
    lake = tmp_path / "lake"
    reader = tmp_path / "reader"
    retention = LogRetention(40, {TABLE.name: [reader]}, HOUR)
    writer = ArrowWriter(lake, retention)
    files, entries = [], []

    for day in range(1, 31):
        write(writer, range((day - 1) * 24, day * 24), day)
        table = stored(lake)
        checkpoint(reader, table, table.version() + 1)
        age(lake, DAY)
        now = one_row(0, day)["kafka_timestamp"][0].as_py() + LATENESS * 300
        for partition in closed_partitions(table, TABLE, now, LATENESS):
            compact(table, TABLE, partition)
        retention.trim_log(table, TABLE)
        remove_replaced_files(table, HOUR)
        files.append(len(data_files(lake)) - day)  # a day's rows stay in one file
        entries.append(len(list((table_path(lake, TABLE) / "_delta_log").iterdir())))

    assert rows(stored(lake)) == list(range(30 * 24))
    assert max(files[20:]) <= max(files[4:12]) + 2, files
    assert max(entries[20:]) <= max(entries[4:12]) + 2, entries


def test_properties_say_how_far_a_table_goes_back(lake):
    configuration = stored(lake).metadata().configuration

    assert configuration["delta.logRetentionDuration"] == "interval 60 minutes"
    assert configuration["delta.deletedFileRetentionDuration"] == "interval 60 minutes"
    assert configuration["delta.enableExpiredLogCleanup"] == "false"
    assert configuration.items() >= properties(60).items()

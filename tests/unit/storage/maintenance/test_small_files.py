import json
from zlib import crc32

import pytest
from deltalake import DeltaTable

from k2.exchanges.binance import BINANCE
from k2.silver.tables import duplicates
from k2.storage.delta import CHECKPOINT_INTERVAL, ensure_table, table_path
from k2.storage.maintenance import small_files as after_commit
from k2.storage.maintenance.vacuum import files_of
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from k2.topology import all_tables
from tests.support.maintained import one_row

pytestmark = pytest.mark.unit

TABLE = duplicates(BINANCE)
COMMITS = 148


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = tmp_path_factory.mktemp("lake")
    ensure_table(lake, TABLE)
    writer = ArrowWriter(lake)
    for batch in range(COMMITS):
        assert writer.append(TABLE, TxnId("s/v1", batch), one_row(batch)).rows == 1
    return lake


@pytest.fixture(scope="module")
def stored(lake):
    return DeltaTable(table_path(lake, TABLE))


def test_many_commits_leave_few_files_and_every_row(stored):
    assert files_of(stored).files < COMMITS / 3
    assert sorted(stored.to_pyarrow_table()["offset"].to_pylist()) == list(range(COMMITS))


def test_merging_changes_no_data_for_a_stream_that_reads_the_table(lake):
    log = table_path(lake, TABLE) / "_delta_log"
    commits = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(log.glob("[0-9]*.json"))
    ]
    added = [action["add"] for commit in commits for action in commit if "add" in action]

    assert sum(add["dataChange"] for add in added) == COMMITS
    assert any(not add["dataChange"] for add in added)


def test_a_batch_is_still_known_after_its_files_were_merged(lake):
    assert ArrowWriter(lake).append(TABLE, TxnId("s/v1", 3), one_row(3)).rows == 0


def test_the_log_has_its_checkpoints(lake):
    log = table_path(lake, TABLE) / "_delta_log"
    versions = sorted(int(path.name[:20]) for path in log.glob("*.checkpoint*.parquet"))

    assert versions == list(range(CHECKPOINT_INTERVAL, COMMITS, CHECKPOINT_INTERVAL))


@pytest.fixture
def every_commit(monkeypatch):
    """The table is looked at after each commit, for three files or a million bytes."""
    monkeypatch.setattr(after_commit, "_LOOK_EVERY", 1)
    monkeypatch.setattr(after_commit, "_MERGE_FILES", 3)


def files_after(lake, writer, batches):
    found = []
    for batch, day in enumerate(batches):
        writer.append(TABLE, TxnId("s/v1", batch), one_row(batch, day))
        found.append(files_of(DeltaTable(table_path(lake, TABLE))).files)
    return found


def test_several_small_files_become_one(tmp_path, every_commit):
    ensure_table(tmp_path, TABLE)

    assert files_after(tmp_path, ArrowWriter(tmp_path), [7] * 5) == [1, 2, 1, 2, 1]


def test_a_file_that_is_alone_in_its_partition_waits_for_nobody(tmp_path, every_commit):
    ensure_table(tmp_path, TABLE)

    assert files_after(tmp_path, ArrowWriter(tmp_path), [1, 2, 3, 4, 4]) == [1, 2, 3, 4, 5]
    assert DeltaTable(table_path(tmp_path, TABLE)).version() == 5


def test_many_bytes_do_not_wait_for_many_files_so_that_no_batch_waits_long(
    tmp_path, every_commit, monkeypatch
):
    monkeypatch.setattr(after_commit, "_MERGE_BYTES", 1)
    ensure_table(tmp_path, TABLE)

    assert files_after(tmp_path, ArrowWriter(tmp_path), [7, 7, 7]) == [1, 1, 1]


def test_tables_take_turns_so_that_a_batch_waits_for_one_of_them():
    names = [table.name for table in all_tables()]
    turns = {name: crc32(name.encode()) % after_commit._LOOK_EVERY for name in names}

    for exchange in ("binance", "kraken"):
        batch = [name for name in names if exchange in name and "resolutions" not in name]
        assert len({turns[name] for name in batch}) == len(batch), turns

"""What a commit added, from the log's own files."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable

from k2.exchanges.binance import BINANCE
from k2.io.commits import appended_after, newest_version
from k2.io.delta import ensure_table, table_path
from k2.io.table_writer import Appended
from k2.tables import silver_trades
from tests.builders import BROKER_TIME, append_silver, silver_row

pytestmark = pytest.mark.unit

TABLE = silver_trades(BINANCE)


def test_a_folder_without_log_has_no_version(tmp_path):
    assert newest_version(tmp_path) == -1
    assert appended_after(tmp_path, -1) == Appended()


def test_a_commit_says_its_rows_and_their_times(tmp_path):
    path = table_path(tmp_path, TABLE)
    ensure_table(tmp_path, TABLE)
    later = BROKER_TIME + timedelta(hours=1)
    rows = [silver_row(BINANCE, 0), silver_row(BINANCE, 1, kafka_timestamp=later)]

    append_silver(tmp_path, BINANCE, rows)

    assert newest_version(path) == 1
    assert appended_after(path, 0) == Appended(2, BROKER_TIME, later, 1)
    assert appended_after(path, 1) == Appended()


def test_rows_of_all_files_of_a_commit_count(tmp_path):
    days = [datetime(2026, 7, day, tzinfo=UTC) for day in range(1, 6)]
    ensure_table(tmp_path, TABLE)

    append_silver(
        tmp_path, BINANCE, [silver_row(BINANCE, i, timestamp=day) for i, day in enumerate(days)]
    )

    assert appended_after(table_path(tmp_path, TABLE), 0).rows == 5


def test_checkpoints_are_no_versions(tmp_path):
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 0)])
    path = table_path(tmp_path, TABLE)

    DeltaTable(path).create_checkpoint()

    assert newest_version(path) == 1


def test_a_commit_without_rows_added_nothing(tmp_path):
    log = tmp_path / "_delta_log"
    log.mkdir()
    entries = [{"commitInfo": {}}, {"txn": {"appId": "a", "version": 1}}]
    (log / f"{0:020}.json").write_text("\n".join(json.dumps(entry) for entry in entries))

    assert appended_after(tmp_path, -1) == Appended()

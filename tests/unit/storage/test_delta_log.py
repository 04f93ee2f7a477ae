"""What a commit added, from the log's own files."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable

from k2.exchanges.binance import BINANCE
from k2.silver.tables import silver_trades
from k2.storage.delta import ensure_table, table_path
from k2.storage.delta_log import appended_after, newest_version, txns_between
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import AppendResult, TxnId
from tests.support.trades import BROKER_TIME, append_silver, arrow, silver_row

pytestmark = pytest.mark.unit

TABLE = silver_trades(BINANCE)


def test_a_folder_without_log_has_no_version(tmp_path):
    assert newest_version(tmp_path) == -1
    assert appended_after(tmp_path, -1) == AppendResult()


def test_a_commit_says_its_rows_and_their_times(tmp_path):
    path = table_path(tmp_path, TABLE)
    ensure_table(tmp_path, TABLE)
    later = BROKER_TIME + timedelta(hours=1)
    rows = [silver_row(BINANCE, 0), silver_row(BINANCE, 1, kafka_timestamp=later)]

    append_silver(tmp_path, BINANCE, rows)

    assert newest_version(path) == 1
    assert appended_after(path, 0) == AppendResult(2, BROKER_TIME, later, 1)
    assert appended_after(path, 1) == AppendResult()


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

    assert appended_after(tmp_path, -1) == AppendResult()


def test_rows_belong_to_the_batch_that_the_commit_names(tmp_path):
    writer, table = ArrowWriter(tmp_path), TABLE
    ensure_table(tmp_path, table)
    rows = arrow(table, [silver_row(BINANCE, 0)])
    for batch in (4, 5):
        writer.append(table, TxnId("silver/v1", batch), rows)

    path = table_path(tmp_path, table)
    assert txns_between(path, 0, 3) == {TxnId("silver/v1", 4), TxnId("silver/v1", 5)}
    assert txns_between(path, 2, 3) == {TxnId("silver/v1", 5)}
    assert txns_between(path, 0, 1) == set()
    assert txns_between(path, 3, 3) == set()


def test_rows_without_a_batch_are_somebodys(tmp_path):
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 0)])

    assert txns_between(table_path(tmp_path, TABLE), 0, 2) == {None}


def test_a_compaction_adds_nothing(tmp_path):
    for offset in range(2):
        append_silver(tmp_path, BINANCE, [silver_row(BINANCE, offset)])
    stored = DeltaTable(table_path(tmp_path, TABLE))
    stored.optimize.compact()

    path = table_path(tmp_path, TABLE)
    assert stored.version() == 3
    assert txns_between(path, 3, 4) == set()


def test_a_version_that_the_log_has_no_more_may_be_anybodys(tmp_path):
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, 0)])
    path = table_path(tmp_path, TABLE)
    (path / "_delta_log" / f"{1:020}.json").unlink()

    assert txns_between(path, 1, 2) == {None}

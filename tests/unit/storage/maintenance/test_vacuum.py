"""Upkeep of tables: closed partitions only, and never a file that a stream still needs."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table, table_path
from k2.storage.maintenance.compaction import compact
from k2.storage.maintenance.vacuum import (
    LEAST_RETENTION,
    Files,
    closed_partitions,
    files_of,
    retention,
    vacuum,
)
from tests.support.trades import TRADE_TIME, append, append_bronze, append_silver, silver_row

pytestmark = pytest.mark.unit

LATENESS = timedelta(minutes=5)
MIDNIGHT = datetime(2026, 7, 8, tzinfo=UTC)  # after the builders' day


def silver(lake, commits=3):
    for offset in range(commits):
        append_silver(lake, BINANCE, [silver_row(BINANCE, offset)])
    return open_table(lake, silver_trades(BINANCE))


def gold_row(offset, timestamp):
    row = silver_row(BINANCE, offset, timestamp=timestamp)
    del row["schema_id"]
    more = {"trade_value_usd": None, "is_late": False, "exchange_hour": timestamp.hour}
    return row | more


def checkpoint(folder, table, version, **more):
    """A stream's checkpoint that has read a table up to, not including, a version."""
    for name in ("commits", "offsets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    source = {"reservoirId": str(table.metadata().id), "reservoirVersion": version, "index": -1}
    source |= more
    (folder / "commits" / "0").write_text("v1\n{}")
    (folder / "offsets" / "0").write_text("v1\n{}\n" + json.dumps(source, separators=(",", ":")))
    return folder


def written(table, version, when):
    """Date a version of a table."""
    log = table.table_uri.removeprefix("file://").rstrip("/") + f"/_delta_log/{version:020}.json"
    os.utime(log, (when.timestamp(), when.timestamp()))


@pytest.mark.parametrize(
    ("after_midnight", "closed"),
    [(timedelta(0), 0), (LATENESS - timedelta(seconds=1), 0), (LATENESS, 1), (timedelta(9), 1)],
)
def test_a_day_is_closed_once_trades_can_no_longer_be_late(tmp_path, after_midnight, closed):
    stored = silver(tmp_path)

    found = closed_partitions(stored, silver_trades(BINANCE), MIDNIGHT + after_midnight, LATENESS)

    assert len(found) == closed


def test_an_hour_is_closed_before_its_day(tmp_path):
    for offset, minutes in enumerate((0, 1, 60, 61)):
        append(tmp_path, GOLD_TRADES, [gold_row(offset, TRADE_TIME + timedelta(minutes=minutes))])
    stored = open_table(tmp_path, GOLD_TRADES)

    found = closed_partitions(stored, GOLD_TRADES, TRADE_TIME + timedelta(hours=1), LATENESS)

    assert found == [(("exchange_date", "2026-07-07"), ("exchange_hour", "9"))]


def test_a_partition_of_one_file_is_left_alone(tmp_path):
    stored = silver(tmp_path, commits=1)

    assert closed_partitions(stored, silver_trades(BINANCE), MIDNIGHT + LATENESS, LATENESS) == []


def test_without_readers_files_stay_for_seven_days(tmp_path):
    assert retention(silver(tmp_path), [], MIDNIGHT) == LEAST_RETENTION


def test_a_reader_that_is_far_behind_keeps_files_longer(tmp_path):
    stored = silver(tmp_path)
    written(stored, 2, MIDNIGHT - timedelta(days=30))
    reader = checkpoint(tmp_path / "reader", stored, 2)

    assert retention(stored, [reader], MIDNIGHT) == timedelta(days=30, hours=1)


def test_the_slowest_of_several_readers_counts(tmp_path):
    stored = silver(tmp_path)
    written(stored, 1, MIDNIGHT - timedelta(days=40))
    consumers = [checkpoint(tmp_path / str(v), stored, v) for v in (4, 1)]

    assert retention(stored, consumers, MIDNIGHT) == timedelta(days=40, hours=1)


def test_a_reader_with_only_a_compaction_ahead_is_not_behind(tmp_path):
    stored = silver(tmp_path)
    (partition,) = closed_partitions(stored, silver_trades(BINANCE), MIDNIGHT + LATENESS, LATENESS)
    compact(stored, silver_trades(BINANCE), partition)
    written(stored, stored.version(), MIDNIGHT - timedelta(days=30))
    reader = checkpoint(tmp_path / "reader", stored, stored.version())

    assert retention(stored, [reader], MIDNIGHT) == LEAST_RETENTION


def test_nothing_may_go_while_a_reader_has_read_nothing(tmp_path):
    assert retention(silver(tmp_path), [tmp_path / "never ran"], MIDNIGHT) is None


def test_nothing_may_go_while_a_reader_is_at_what_was_there_when_it_began(tmp_path):
    stored = silver(tmp_path)
    reader = checkpoint(tmp_path / "reader", stored, 3, isStartingVersion=True)

    assert retention(stored, [reader], MIDNIGHT) is None


def test_nothing_may_go_when_the_checkpoint_is_of_another_table(tmp_path):
    append_bronze(tmp_path, BINANCE, [b"x"])
    other = checkpoint(tmp_path / "reader", open_table(tmp_path, bronze_trades(BINANCE)), 1)

    assert retention(silver(tmp_path), [other], MIDNIGHT) is None


def test_nothing_may_go_when_the_log_no_longer_reaches_back_to_the_reader(tmp_path):
    stored = silver(tmp_path)
    log = table_path(tmp_path, silver_trades(BINANCE)) / "_delta_log"
    (log / f"{1:020}.json").unlink()
    reader = checkpoint(tmp_path / "reader", stored, 1)

    assert retention(stored, [reader], MIDNIGHT) is None


def test_fresh_files_survive_however_short_the_retention_asked_for(tmp_path):
    stored = silver(tmp_path)
    (partition,) = closed_partitions(stored, silver_trades(BINANCE), MIDNIGHT + LATENESS, LATENESS)
    compact(stored, silver_trades(BINANCE), partition)

    deleted = vacuum(stored, timedelta(0), dry_run=False)

    assert deleted == 0
    assert DeltaTable(stored.table_uri, version=3).to_pyarrow_table().num_rows == 3


def test_files_are_counted_from_the_log(tmp_path):
    counted = files_of(silver(tmp_path))

    on_disk = list(table_path(tmp_path, silver_trades(BINANCE)).glob("*/*.parquet"))
    assert counted == Files(3, sum(path.stat().st_size for path in on_disk))

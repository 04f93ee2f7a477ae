"""Upkeep of tables: closed partitions only, and never a file that a stream has not read."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges.binance import BINANCE
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import silver_trades
from k2.storage.checkpoints.unread_files import ALL_READ, unread_since
from k2.storage.delta import open_table, table_path
from k2.storage.maintenance.compaction import compact
from k2.storage.maintenance.vacuum import Files, closed_partitions, files_of
from tests.support.maintained import LATENESS, checkpoint
from tests.support.trades import TRADE_TIME, append, append_bronze, append_silver, silver_row

pytestmark = pytest.mark.unit

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


def since(tmp_path, stored, *consumers):
    table = silver_trades(BINANCE)
    folder = table_path(tmp_path, table)
    return unread_since(consumers, folder, str(stored.metadata().id), stored.version())


def times(stored):
    return sorted(pa.table(stored.get_add_actions())["modification_time"].cast("int64").to_pylist())


def test_without_readers_all_has_been_read(tmp_path):
    assert since(tmp_path, silver(tmp_path)) == ALL_READ


def test_files_from_a_readers_next_version_on_are_unread(tmp_path):
    stored = silver(tmp_path)
    consumers = [checkpoint(tmp_path / str(v), stored, v) for v in (2, 3)]

    assert since(tmp_path, stored, *consumers) == times(stored)[1]


def test_a_reader_with_only_a_compaction_ahead_is_not_behind(tmp_path):
    stored = silver(tmp_path)
    (partition,) = closed_partitions(stored, silver_trades(BINANCE), MIDNIGHT + LATENESS, LATENESS)
    compact(stored, silver_trades(BINANCE), partition)
    reader = checkpoint(tmp_path / "reader", stored, stored.version())

    assert since(tmp_path, stored, reader) == ALL_READ


def test_a_reader_that_has_not_begun_needs_nothing(tmp_path):
    assert since(tmp_path, silver(tmp_path), tmp_path / "never ran") == ALL_READ


def test_all_is_unread_while_a_reader_is_in_its_first_batch(tmp_path):
    stored = silver(tmp_path)
    reader = checkpoint(tmp_path / "reader", stored, 1)
    (reader / "commits" / "0").unlink()

    assert since(tmp_path, stored, reader) == 0


def test_all_is_unread_while_a_reader_is_at_what_was_there_when_it_began(tmp_path):
    stored = silver(tmp_path)
    reader = checkpoint(tmp_path / "reader", stored, 3, isStartingVersion=True)

    assert since(tmp_path, stored, reader) == 0


def test_all_is_unread_when_the_checkpoint_is_of_another_table(tmp_path):
    append_bronze(tmp_path, BINANCE, [b"x"])
    other = checkpoint(tmp_path / "reader", open_table(tmp_path, bronze_trades(BINANCE)), 1)

    assert since(tmp_path, silver(tmp_path), other) == 0


def test_all_is_unread_when_the_log_no_longer_reaches_back_to_the_reader(tmp_path):
    stored = silver(tmp_path)
    log = table_path(tmp_path, silver_trades(BINANCE)) / "_delta_log"
    (log / f"{1:020}.json").unlink()
    reader = checkpoint(tmp_path / "reader", stored, 1)

    assert since(tmp_path, stored, reader) == 0


def test_what_is_unread_is_left_out_of_a_compaction(tmp_path):
    stored = silver(tmp_path, commits=4)
    before = times(stored)[2]
    (partition,) = closed_partitions(
        stored, silver_trades(BINANCE), MIDNIGHT + LATENESS, LATENESS, before
    )

    compact(stored, silver_trades(BINANCE), partition, before)

    assert files_of(stored).files == 3
    assert times(stored)[:2] == times(silver(tmp_path, commits=0))[:2]
    assert before in times(stored)


def test_a_partition_whose_files_are_unread_is_not_compacted(tmp_path):
    stored = silver(tmp_path)

    assert (
        closed_partitions(
            stored, silver_trades(BINANCE), MIDNIGHT + LATENESS, LATENESS, times(stored)[1]
        )
        == []
    )


def test_files_are_counted_from_the_log(tmp_path):
    counted = files_of(silver(tmp_path))

    on_disk = list(table_path(tmp_path, silver_trades(BINANCE)).glob("*/*.parquet"))
    assert counted == Files(3, sum(path.stat().st_size for path in on_disk))

"""A table's log keeps its newest versions and whatever a stream has not read, and the table stays whole."""

import os
import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from k2.exchanges.binance import BINANCE
from k2.silver.tables import duplicates
from k2.storage.delta import ensure_table, keep_properties, table_path
from k2.storage.maintenance import log_cleanup as log_retention
from k2.storage.maintenance import small_files
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.maintained import checkpoint, one_row

pytestmark = pytest.mark.unit

TABLE = duplicates(BINANCE)
COMMITS = 230


@pytest.fixture(scope="module")
def aged(tmp_path_factory):
    """A lake whose table nobody has shortened."""
    lake = tmp_path_factory.mktemp("aged")
    write(ArrowWriter(lake), range(COMMITS))
    return lake


@pytest.fixture
def lake(aged, tmp_path):
    return Path(shutil.copytree(aged, tmp_path / "my lake"))


def write(writer, batches):
    ensure_table(writer.lake, TABLE)
    for batch in batches:
        writer.append(TABLE, TxnId("s/v1", batch), one_row(batch))


def stored(lake):
    return DeltaTable(table_path(lake, TABLE))


def log_of(lake):
    return table_path(lake, TABLE) / "_delta_log"


def versions(lake):
    return sorted(int(path.stem) for path in log_of(lake).glob("[0-9]*.json"))


def checkpoints(lake):
    return sorted(int(path.name[:20]) for path in log_of(lake).glob("*.checkpoint.parquet"))


def shorten(lake, keep=100, consumers=(), seconds=0.0):
    LogRetention(keep, {TABLE.name: consumers}, seconds).trim_log(stored(lake), TABLE)


def test_the_newest_versions_stay_from_a_checkpoint_on(lake):
    newest = stored(lake).version()

    shorten(lake)

    assert newest - 100 - 50 < versions(lake)[0] <= newest - 100
    assert versions(lake) == list(range(versions(lake)[0], newest + 1))
    assert checkpoints(lake)[0] == versions(lake)[0]


def test_the_table_has_every_row_and_knows_every_batch_afterwards(lake):
    shorten(lake)

    assert sorted(stored(lake).to_pyarrow_table()["offset"].to_pylist()) == list(range(COMMITS))
    assert ArrowWriter(lake).append(TABLE, TxnId("s/v1", 3), one_row(3)).rows == 0


def test_a_version_that_stayed_can_still_be_read_alone(lake):
    before = {
        v: DeltaTable(table_path(lake, TABLE), version=v).to_pyarrow_table() for v in (140, 190)
    }

    shorten(lake)

    for version, rows in before.items():
        again = DeltaTable(table_path(lake, TABLE), version=version).to_pyarrow_table()
        assert again.sort_by("offset") == rows.sort_by("offset")


@pytest.mark.parametrize(("unread", "first"), [(120, 100), (101, 100), (100, 50), (51, 50), (7, 0)])
def test_what_a_stream_has_not_read_stays_and_the_version_before(lake, tmp_path, unread, first):
    reader = checkpoint(tmp_path / "reader", stored(lake), unread)

    shorten(lake, consumers=[reader])

    assert versions(lake)[0] == first


def test_the_slowest_of_several_streams_counts(lake, tmp_path):
    consumers = [checkpoint(tmp_path / str(v), stored(lake), v) for v in (230, 60)]

    shorten(lake, consumers=consumers)

    assert versions(lake)[0] == 50


def test_nothing_goes_while_a_stream_is_in_its_first_batch(lake, tmp_path):
    reader = checkpoint(tmp_path / "reader", stored(lake), 200)
    (reader / "commits" / "0").unlink()

    shorten(lake, consumers=[reader])

    assert versions(lake)[0] == 0


def test_a_stream_that_never_began_keeps_nothing(lake, tmp_path):
    shorten(lake, consumers=[tmp_path / "never ran"])

    assert versions(lake)[0] == 100


@pytest.mark.parametrize(
    ("last_old", "first"), [(-1, 0), (49, 0), (60, 50), (120, 100), (229, 100)]
)
def test_young_versions_stay_however_many_they_are(lake, last_old, first):
    for version in range(last_old + 1):
        os.utime(log_of(lake) / f"{version:020}.json", (0, 0))

    shorten(lake, seconds=3600)

    assert versions(lake)[0] == first


@pytest.mark.parametrize(("lost", "first"), [([100], 50), ([50, 100], 0)])
def test_what_stays_begins_with_a_checkpoint_that_is_there(lake, lost, first):
    for version in lost:
        (log_of(lake) / f"{version:020}.checkpoint.parquet").unlink()

    shorten(lake)

    assert versions(lake)[0] == first


def test_a_long_log_becomes_shorter_bit_by_bit_and_has_no_holes(lake, monkeypatch):
    monkeypatch.setattr(log_retention, "_AT_ONCE", 30)
    newest = stored(lake).version()

    firsts = []
    for _ in range(5):
        shorten(lake)
        firsts.append(versions(lake)[0])
        assert versions(lake) == list(range(firsts[-1], newest + 1))

    assert firsts == [30, 60, 90, 100, 100]


def test_files_that_spark_left_beside_old_commits_go_with_them(lake):
    log = log_of(lake)
    for version in (3, 220):
        (log / f".{version:020}.json.crc").touch()
        (log / f"{version:020}.crc").touch()

    shorten(lake)

    left = {path.name.lstrip(".")[:20] for path in log.iterdir()}
    assert min(left - {"_last_checkpoint"}) == f"{100:020}"
    assert (log / f".{220:020}.json.crc").exists()


def test_a_writer_shortens_its_logs_as_it_writes(lake):
    writer = ArrowWriter(lake, LogRetention(100, {}))
    newest = stored(lake).version()

    write(writer, range(COMMITS, COMMITS + 60))

    assert versions(lake)[0] == 150
    assert stored(lake).version() >= newest + 60


def test_a_stream_of_spark_that_is_behind_finds_all_that_it_has_not_read(
    tmp_path: Path, spark: SparkSession
) -> None:
    lake, progress = tmp_path / "lake", tmp_path / "checkpoint"
    write(ArrowWriter(lake), range(70))
    seen = read_on(spark, lake, progress)
    write(ArrowWriter(lake, LogRetention(100, {TABLE.name: [progress]})), range(70, COMMITS))
    assert versions(lake)[0] > 0

    seen += read_on(spark, lake, progress)

    assert sorted(seen) == list(range(COMMITS))


def test_whatever_another_engine_vacuums_a_stream_that_is_behind_finds_all_that_it_has_not_read(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "_MERGE_FILES", 8)
    lake, progress = tmp_path / "lake", tmp_path / "checkpoint"
    write(ArrowWriter(lake), range(10))
    seen = read_on(spark, lake, progress)
    # As `k2 up` writes: merges go on beside the stream that is behind.
    writer = ArrowWriter(lake, LogRetention(100, {TABLE.name: [progress]}))
    write(writer, range(10, COMMITS))
    merged = [commit for commit in commits_of(lake) if '"dataChange":false' in commit]
    deleted = stored(lake).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)

    seen += read_on(spark, lake, progress)

    assert merged
    assert deleted
    assert sorted(seen) == list(range(COMMITS))


def commits_of(lake: Path) -> list[str]:
    return [path.read_text() for path in sorted(log_of(lake).glob("[0-9]*.json"))]


def test_a_stream_goes_on_when_a_tables_properties_change(
    tmp_path: Path, spark: SparkSession
) -> None:
    lake, progress = tmp_path / "lake", tmp_path / "checkpoint"
    write(ArrowWriter(lake), range(3))
    seen = read_on(spark, lake, progress)

    assert keep_properties(stored(lake), TABLE, 90)
    assert not keep_properties(stored(lake), TABLE, 90)
    write(ArrowWriter(lake), range(3, 6))
    seen += read_on(spark, lake, progress)

    assert sorted(seen) == list(range(6))
    kept = stored(lake).metadata().configuration["delta.deletedFileRetentionDuration"]
    assert kept == "interval 90 minutes"


def test_spark_reads_a_table_whose_first_versions_are_gone(lake: Path, spark: SparkSession) -> None:
    shorten(lake)

    assert spark.read.format("delta").load(str(table_path(lake, TABLE))).count() == COMMITS


def read_on(spark: SparkSession, lake: Path, progress: Path) -> list[int]:
    """Read as a stream what is new in the table; return its offsets."""
    seen: list[int] = []
    query = (
        spark.readStream.format("delta")
        .load(str(table_path(lake, TABLE)))
        .writeStream.option("checkpointLocation", str(progress))
        .trigger(availableNow=True)
        .foreachBatch(lambda rows, _: seen.extend(row.offset for row in rows.collect()))
        .start()
    )
    query.awaitTermination(120)
    return seen

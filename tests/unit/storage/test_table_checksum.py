"""The checksum file says what the table is, and spares Spark a job for each new version."""

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from k2.exchanges.binance import BINANCE
from k2.silver.tables import duplicates
from k2.storage.delta import ensure_table, table_path
from k2.storage.maintenance.vacuum import files_of
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.maintained import one_row

TABLE = duplicates(BINANCE)


def checksums(folder: Path) -> dict[int, dict[str, Any]]:
    found = sorted((folder / "_delta_log").glob("*.crc"))
    return {int(path.name[:20]): json.loads(path.read_text("utf-8")) for path in found}


def action(folder: Path, kind: str) -> dict[str, Any]:
    """The action that created the table, as its log has it."""
    lines = (folder / "_delta_log" / f"{0:020}.json").read_text("utf-8").splitlines()
    (found,) = [entry[kind] for entry in map(json.loads, lines) if kind in entry]
    return dict(found)


def filled(lake: Path, commits: int) -> Path:
    ensure_table(lake, TABLE)
    writer = ArrowWriter(lake)
    for batch in range(commits):
        writer.append(TABLE, TxnId("s/v1", batch), one_row(batch))
    return table_path(lake, TABLE)


def test_a_new_table_has_the_metadata_and_protocol_of_its_log(tmp_path: Path) -> None:
    ensure_table(tmp_path, TABLE)
    folder = table_path(tmp_path, TABLE)

    found = checksums(folder)[0]

    assert found["metadata"] == action(folder, "metaData")
    assert found["protocol"] == action(folder, "protocol")
    assert (found["numFiles"], found["tableSizeBytes"]) == (0, 0)


@pytest.mark.parametrize("commits", [3, 35])  # with and without small files merged meanwhile
def test_the_newest_version_counts_the_files_that_the_table_has(
    tmp_path: Path, commits: int
) -> None:
    folder = filled(tmp_path / "höme of trades", commits)

    stored = DeltaTable(folder)
    found = checksums(folder)[stored.version()]

    assert found["numFiles"] == files_of(stored).files > 0
    assert found["tableSizeBytes"] == files_of(stored).bytes
    assert found["metadata"] == action(folder, "metaData")


def test_old_checksums_go_and_nothing_half_written_stays(tmp_path: Path) -> None:
    folder = filled(tmp_path, 40)

    newest = DeltaTable(folder).version()

    assert min(checksums(folder)) >= newest - 12
    assert not list((folder / "_delta_log").glob(".*draft"))


def test_spark_opens_a_version_with_a_checksum_without_a_job(
    tmp_path: Path, spark: SparkSession
) -> None:
    with_it, without = filled(tmp_path / "with", 3), filled(tmp_path / "without", 3)
    for path in (without / "_delta_log").glob("*.crc"):
        path.unlink()

    assert jobs_to_open(with_it, spark) == 0
    assert jobs_to_open(without, spark) > 0


def test_spark_finds_the_counts_right(tmp_path: Path, spark: SparkSession) -> None:
    folder = filled(tmp_path, 35)

    detail = spark.sql(f"describe detail delta.`{folder}`").first()

    assert detail is not None
    found = checksums(folder)[DeltaTable(folder).version()]
    assert (detail.numFiles, detail.sizeInBytes) == (found["numFiles"], found["tableSizeBytes"])
    assert spark.read.format("delta").load(str(folder)).count() == 35


def jobs_to_open(folder: Path, spark: SparkSession) -> int:
    """Open a table's newest version as a stream does; return how many jobs Spark ran for it."""
    before = newest_job(spark)
    assert spark.readStream.format("delta").load(str(folder)).columns == TABLE.columns
    return newest_job(spark) - before


def newest_job(spark: SparkSession) -> int:
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)  # the last 50
    return max((int(jobs.apply(place).jobId()) for place in range(jobs.size())), default=-1)

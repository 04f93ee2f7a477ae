"""What Spark notes of a batch costs no program started."""

import sys
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming import DataStreamWriter

from tests.support.home import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process"),
]

_FAULTS_OF_CHILDREN = 8  # place after the name; see proc(5), cminflt


def test_a_batch_is_noted_without_starting_a_program(spark: SparkSession, tmp_path: Path) -> None:
    jvm = psutil.Process(spark.sparkContext._gateway.proc.pid)

    before = faults_of_ended_children(jvm)
    query = writer(spark, tmp_path / "c").start()
    wait_until(lambda: (tmp_path / "c" / "commits" / "3").exists(), 60)
    query.stop()

    assert faults_of_ended_children(jvm) == before


def test_what_is_noted_has_a_checksum_and_the_permissions_of_others(
    spark: SparkSession, tmp_path: Path
) -> None:
    query = writer(spark, tmp_path / "c").trigger(once=True).start()
    query.awaitTermination()

    noted = tmp_path / "c" / "offsets" / "0"
    assert noted.with_name(".0.crc").exists()
    assert noted.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in noted.parent.iterdir() if "tmp" in path.name] == []


def writer(spark: SparkSession, checkpoint: Path) -> DataStreamWriter:
    """A query that writes its rows nowhere."""
    source = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
    return source.writeStream.format("noop").option("checkpointLocation", str(checkpoint))


def faults_of_ended_children(process: psutil.Process) -> int:
    """Page faults of all programs that it started and that ended: none is without."""
    on_result = Path(f"/proc/{process.pid}/stat").read_text()
    return int(on_result.rpartition(")")[2].split()[_FAULTS_OF_CHILDREN])

"""A stream that is stopped in the middle of a batch ends by that, and of nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from k2.engine.batch_failure import batch_failure
from tests.support.home import wait_until

pytestmark = pytest.mark.integration

LONG = "py4j.protocol.Py4JJavaError: An error occurred while calling o1.x\n" + "x" * 40_000


class Uncaught:
    """Takes what ends a Java thread."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def uncaughtException(self, thread: Any, error: Any) -> None:
        self.seen.append(f"{thread.getName()}: {error.toString()}")

    class Java:
        implements = ["java.lang.Thread$UncaughtExceptionHandler"]  # noqa: RUF012 - py4j's form


@pytest.fixture
def uncaught(spark: SparkSession) -> Iterator[list[str]]:
    """What ended a Java thread while the test ran."""
    handler = Uncaught()
    spark._jvm.java.lang.Thread.setDefaultUncaughtExceptionHandler(handler)
    yield handler.seen
    spark._jvm.java.lang.Thread.setDefaultUncaughtExceptionHandler(None)


def test_a_batch_that_fails_at_length_while_it_is_stopped_overflows_no_stack(
    spark: SparkSession, tmp_path: Path, uncaught: list[str]
) -> None:
    begun = []

    def write(_rows: DataFrame, _batch_id: int) -> None:
        begun.append(True)
        try:
            spark._jvm.java.lang.Thread.sleep(30_000)
        except Exception:
            raise batch_failure(RuntimeError(LONG)) from None

    source = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
    checkpoint = str(tmp_path / "checkpoint")
    query = source.writeStream.foreachBatch(write).option("checkpointLocation", checkpoint).start()
    wait_until(lambda: bool(begun), 60)
    query.stop()

    assert uncaught == []

"""Ctrl-C while a Spark session computes."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

from k2.jvm.session_lifetime import raised_interrupts

pytestmark = pytest.mark.integration

_MILLISECONDS = 3_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_question_is_not_answered_to_the_next_one(
    spark: SparkSession, number: signal.Signals
) -> None:
    sleeping = f"java_method('java.lang.Thread', 'sleep', {_MILLISECONDS}L)"
    threading.Timer(0.5, os.kill, (os.getpid(), number)).start()

    with raised_interrupts(), pytest.raises(KeyboardInterrupt):
        spark.range(1).selectExpr(sleeping).collect()

    assert spark.range(7).count() == 7
    assert [row.id for row in spark.range(3).collect()] == [0, 1, 2]


def test_an_interrupt_leaves_the_connections_of_other_threads_alone(spark: SparkSession) -> None:
    def connection() -> object:
        assert spark.range(7).count() == 7
        return SparkContext._gateway._gateway_client.get_thread_connection()

    sleeping = f"java_method('java.lang.Thread', 'sleep', {_MILLISECONDS // 5}L)"
    with ThreadPoolExecutor(1) as other:
        before = other.submit(connection).result()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with raised_interrupts(), pytest.raises(KeyboardInterrupt):
            spark.range(1).selectExpr(sleeping).collect()

        assert other.submit(connection).result() is before


def test_the_handlers_of_others_come_back(spark: SparkSession) -> None:
    before = signal.getsignal(signal.SIGTERM)

    with raised_interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before

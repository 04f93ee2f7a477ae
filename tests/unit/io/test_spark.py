"""The driver's JVM: what it is started with."""

import pytest

pytestmark = pytest.mark.unit


def test_a_jvm_without_memory_ends_and_does_not_hang(spark):
    runtime = spark.sparkContext._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean()

    assert "-XX:+ExitOnOutOfMemoryError" in list(runtime.getInputArguments())

"""Every session can be watched, shows no secret, and ends when it has no memory left."""

import re
import shlex
from pathlib import Path

import pytest

from k2.jvm import spark
from k2.jvm.spark import session_options
from k2.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def options(settings: Settings) -> dict[str, str]:
    return session_options(settings, "local[2]")


def test_a_session_exports_metrics_under_names_that_outlive_it(options: dict[str, str]) -> None:
    assert options["spark.metrics.namespace"] == "k2"
    assert options["spark.sql.streaming.metricsEnabled"] == "true"
    assert options["spark.ui.prometheus.enabled"] == "true"
    sink = "spark.metrics.conf.*.sink.prometheusServlet"
    assert options[f"{sink}.path"] == "/metrics/prometheus"


@pytest.mark.parametrize(
    "text",
    [
        "spark.kafka.ssl.keystore.password",
        "kafka.sasl.jaas.config",
        "fs.s3a.access.key",
        "fs.azure.account.api-key",
        "MY_SECRET",
        "http://user:hunter2@registry:8081",
        "https://user@registry",
    ],
)
def test_spark_hides_what_has_the_name_or_the_form_of_a_secret(
    options: dict[str, str], text: str
) -> None:
    assert re.search(options["spark.redaction.regex"], text)


@pytest.mark.parametrize(
    "text", ["spark.sql.shuffle.partitions", "http://registry:8081/apis/ccompat/v7", "local[2]"]
)
def test_what_is_no_secret_is_shown(options: dict[str, str], text: str) -> None:
    assert not re.search(options["spark.redaction.regex"], text)


def test_a_jvm_without_memory_ends_and_does_not_hang(spark):
    runtime = spark.sparkContext._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean()

    assert "-XX:+ExitOnOutOfMemoryError" in list(runtime.getInputArguments())


def test_folders_with_spaces_and_quotes_reach_the_driver_whole(tmp_path: Path) -> None:
    home = tmp_path / 'my "lake" of trades'
    jars = [tmp_path / "a b" / "c.jar", tmp_path / "d.jar"]

    words = shlex.split(spark._submission(Settings.load(home=home), jars, ["-Dmore=a b"]))

    options = shlex.split(words[words.index("--driver-java-options") + 1])
    assert f"-Dk2.home={home}" in options
    assert "-Dmore=a b" in options
    assert words[words.index("--driver-class-path") + 1] == f"{jars[0]}:{jars[1]}"
    assert words[-1] == "pyspark-shell"

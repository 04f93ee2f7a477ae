"""The fixtures give what pytest.ini and CONTRIBUTING.md say they give."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from k2.settings import Settings

pytestmark = pytest.mark.unit


def test_spark_has_the_options_of_pytest_ini(spark: SparkSession) -> None:
    options = dict(spark.sparkContext.getConf().getAll())

    assert options["spark.sql.shuffle.partitions"] == "2"
    assert options["spark.default.parallelism"] == "2"
    assert options["spark.driver.memory"] == options["spark.executor.memory"] == "1g"
    assert spark.sparkContext.uiWebUrl is None


def test_the_warehouse_is_in_a_temporary_folder(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> None:
    warehouse = Path(str(spark.conf.get("spark.sql.warehouse.dir")).removeprefix("file:"))

    assert warehouse.is_relative_to(tmp_path_factory.getbasetemp())


def test_there_is_one_session(spark: SparkSession, spark_session: SparkSession) -> None:
    assert spark_session is spark


def test_spark_reads_and_writes_delta(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(3).write.format("delta").save(str(tmp_path / "table"))

    assert spark.read.format("delta").load(str(tmp_path / "table")).count() == 3


def test_a_tests_settings_are_the_defaults_with_a_home_of_its_own(
    settings: Settings, tmp_path: Path
) -> None:
    assert settings.home.is_relative_to(tmp_path)
    assert settings == Settings.load(home=settings.home)
    assert not {name for name in os.environ if name.startswith("K2_")} - {
        "K2_JAR_CACHE",
        "K2_OFFLINE",
        "K2_CLASS_ARCHIVES",  # set by conftest
    }

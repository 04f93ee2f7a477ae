"""Fixtures that all tests share: settings, Spark, Kafka and registry, and trades."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from k2.settings import Settings
from tests.fixtures.crypto_fixtures import (
    binance_trade_sequence,
    crypto_data_factory,
    invalid_trade_records,
    kraken_trade_sequence,
    sample_binance_raw_trade,
    sample_kraken_raw_trade,
    sample_v2_unified_trade,
    v2_mixed_trades,
)
from tests.support.stack import Endpoints, shared_stack

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# pytest finds a fixture in conftest, wherever it stands.
__all__ = [
    "binance_trade_sequence",
    "crypto_data_factory",
    "invalid_trade_records",
    "kraken_trade_sequence",
    "sample_binance_raw_trade",
    "sample_kraken_raw_trade",
    "sample_v2_unified_trade",
    "v2_mixed_trades",
]

ROOT = Path(__file__).parents[1]
TIERS = ("unit", "integration", "e2e", "slow", "chaos")


def pytest_configure() -> None:
    """Forget the developer's own K2 settings, so that a test sees the defaults.

    Where this machine keeps its jars is no matter of taste and stays.
    """
    for name in set(os.environ) - {"K2_JAR_CACHE", "K2_OFFLINE"}:
        if name.startswith("K2_"):
            del os.environ[name]
    # The first to end writes them, which takes it seconds: which test that is would be chance.
    os.environ["K2_CLASS_ARCHIVES"] = "false"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test without a tier the tier of its folder, so that ``-m`` never overlooks one."""
    for item in items:
        if not any(item.get_closest_marker(tier) for tier in TIERS):
            item.add_marker(item.path.relative_to(ROOT / "tests").parts[0])


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Forget where a test sent the logs: its file is closed when the next one writes."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings with a home of the test's own."""
    return Settings.load(home=tmp_path / "home")


@pytest.fixture(scope="session")
def spark(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["SparkSession"]:
    """K2's own Spark session with the options of pytest.ini; one per worker."""
    from k2.jvm import driver_environment
    from k2.jvm.jars import spark_jars
    from k2.jvm.spark import spark_session

    folder = tmp_path_factory.mktemp("spark")
    # As defaults: an option that K2 sets itself is K2's, in tests too.
    options = [option.replace(":", " ", 1) for option in request.config.getini("spark_options")]
    (folder / "spark-defaults.conf").write_text("\n".join(options))
    settings = Settings.load(home=folder / "home", driver_memory="1g", ui_port=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        # Of other settings for Spark K2 wants none; these are the tests' own.
        kept = tuple(name for name in driver_environment.FOREIGN if name != "SPARK_CONF_DIR")
        patch.setattr(driver_environment, "FOREIGN", kept)
        patch.setenv("PYSPARK_SUBMIT_ARGS", "pyspark-shell")  # spark_session changes it
        session = spark_session(settings, "k2-tests", spark_jars(settings))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_session(spark: "SparkSession") -> "SparkSession":
    """pytest-spark's name for the session: the same one, never a second."""
    return spark


@pytest.fixture(scope="session")
def spark_context(spark: "SparkSession") -> Any:
    """pytest-spark's name for the session's context."""
    return spark.sparkContext


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Real Kafka and registry, shared by all workers.

    Use topics of the test's own. A test that stops or kills a service starts its own stack.
    """
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with shared_stack(run / "stack") as endpoints:
        yield endpoints

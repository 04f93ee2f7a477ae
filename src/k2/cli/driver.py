"""A Spark driver in this process, for the commands that run streams themselves."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession
from rich.console import Console

from k2.io.jars import Group, resolve
from k2.io.java import find_java
from k2.io.spark import spark_session
from k2.local.home import named_disk_errors
from k2.settings import Settings


def local_session(settings: Settings, app_name: str, console: Console) -> SparkSession:
    """Start the session with the jars it needs; ``console`` shows their download.

    Raises:
        ConfigError: Java is missing or too old.
        UnavailableError: jars are missing and cannot be fetched.
    """
    java = find_java(settings.java_home)
    jars = resolve(Group.SPARK, settings.jar_cache, offline=settings.offline, console=console)
    with named_disk_errors(settings):
        for folder in (settings.run, settings.logs):
            folder.mkdir(parents=True, exist_ok=True)
    with _errors_to(settings.logs / "spark-driver.log"):
        return spark_session(settings, app_name, jars, java.executable.parents[1])


def stop_session(spark: SparkSession) -> None:
    """Stop the session; when its JVM is gone, there is nothing to stop."""
    with warnings.catch_warnings(), suppress(Py4JError, OSError):
        warnings.simplefilter("ignore", RuntimeWarning)
        spark.stop()


@contextmanager
def _errors_to(log: Path) -> Iterator[None]:
    """Give the JVM that starts meanwhile a file for its standard error: the terminal is K2's."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)

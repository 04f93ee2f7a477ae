"""A Spark driver in this process, for the commands that run streams themselves."""

from pyspark.sql import SparkSession
from rich.console import Console

from k2.io.jars import Group, resolve
from k2.io.java import find_java
from k2.io.spark import spark_session
from k2.settings import Settings


def local_session(settings: Settings, app_name: str, console: Console) -> SparkSession:
    """Start the session with the jars it needs; ``console`` shows their download.

    Raises:
        ConfigError: Java is missing or too old.
        UnavailableError: jars are missing and cannot be fetched.
    """
    find_java()
    jars = resolve(Group.SPARK, settings.jar_cache, offline=settings.offline, console=console)
    settings.run.mkdir(parents=True, exist_ok=True)
    return spark_session(settings, app_name, jars)

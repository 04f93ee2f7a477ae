"""Prepare the environment of a Spark driver that K2 starts, without another Spark's, Hadoop's or Java's settings."""

import os
import pwd
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import pyspark

from k2.errors import ConfigError

# Each was meant for another Spark, Hadoop or Java; `spark-submit` is the way to use those.
FOREIGN = (
    *("SPARK_CONF_DIR", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED", "SPARK_DIST_CLASSPATH"),
    *("SPARK_SUBMIT_OPTS", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME"),
    # Java obeys these before its own command line, and refuses a second garbage collector.
    *("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"),
)


def prepare_driver_environment(environment: MutableMapping[str, str], is_local: bool) -> None:
    """Change what a driver and its JVM inherit, before they start.

    Args:
        environment: changed in place.
        is_local: whether Spark runs in this process alone; a cluster's client needs Hadoop's settings.

    Raises:
        ConfigError: the user has no name, without which Hadoop does not start.
    """
    environment["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    if is_local:
        for name in FOREIGN:
            environment.pop(name, None)
    if sys.platform == "linux" and not is_utf8(environment):
        environment["LC_ALL"] = "C.UTF-8"  # else Java cannot open a file whose name is beyond ASCII
    if not has_name(os.getuid()):
        raise ConfigError(
            f"The user {os.getuid()} has no name here (no line in /etc/passwd), and Hadoop, which Spark"
            " needs, does not start without one. Add the line, or run as a user that has one."
        )


def has_name(user: int) -> bool:
    """Tell whether the system knows a user by name."""
    try:
        return bool(pwd.getpwuid(user).pw_name)
    except KeyError:
        return False


def is_utf8(environment: Mapping[str, str]) -> bool:
    """Tell whether the locale's texts are UTF-8; ``C`` and none are not."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if chosen := environment.get(name):
            return chosen.lower().replace("-", "").endswith("utf8")
    return False

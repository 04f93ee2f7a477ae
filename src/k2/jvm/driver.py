"""A Spark driver in this process, for the commands that run streams themselves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyspark
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession
from rich.console import Console

from k2.home.file_system import check_file_system
from k2.home.paths import named_disk_errors
from k2.jvm.class_data_sharing import ClassArchive
from k2.jvm.jars import Group, resolve
from k2.jvm.java import find_java
from k2.jvm.session_lifetime import begun, stop_session
from k2.jvm.spark import spark_session
from k2.settings import Settings

_KEEP_SECONDS = 60.0  # for the JVM to write the archive of its classes


def local_session(settings: Settings, app_name: str, console: Console) -> SparkSession:
    """Start the session with the jars that it needs; ``console`` shows the download.

    Raises:
        ConfigError: Java is missing or too old.
        UnavailableError: jars are missing and cannot be fetched.
    """
    return _start(settings, app_name, console, makes_archive=False)[0]


@dataclass
class LastingDriver:
    """The driver of ``k2 up``; the first one that ends writes the class archive that later ones map."""

    settings: Settings
    console: Console
    session: SparkSession | None = None
    _classes: ClassArchive | None = None

    def start(self) -> None:
        """Start the session; raises what :func:`local_session` does."""
        self.console.print("Starting Spark …", highlight=False)
        self.session, self._classes = _start(self.settings, "k2", self.console, makes_archive=True)

    def stop(self, has_run: bool) -> None:
        """Stop the session. Only one that ``has_run`` loaded what the next one will need."""
        if self.session is None:
            return
        stop_session(self.session)
        if has_run and self._classes is not None and not self._classes.exists:
            self.console.print(
                "Keeping what Java has loaded, so that the next start is faster …", highlight=False
            )
            _end_jvm(self._classes)


def _start(
    settings: Settings, app_name: str, console: Console, makes_archive: bool
) -> tuple[SparkSession, ClassArchive | None]:
    """Return the session, and the archive of classes that its JVM maps or, if asked, will make."""
    java = find_java(settings.java_home, settings.java_variable)
    jars = resolve(Group.SPARK, settings.jar_cache, offline=settings.offline, console=console)
    classes = None
    if settings.class_archives:
        of_spark = Path(pyspark.__file__).with_name("jars").glob("*.jar")
        classes = ClassArchive.of("spark", java.executable, [*of_spark, *jars], settings.jar_cache)
    options = classes.options(makes_archive) if classes else []
    with named_disk_errors(settings):
        for folder in (settings.run, settings.logs):
            folder.mkdir(parents=True, exist_ok=True)
        check_file_system(settings.home)
    home = java.executable.parents[1]
    try:
        with _output_to(settings.logs / "spark-driver.log"):
            make = partial(spark_session, settings, app_name, jars, home, options)
            return begun(make, settings), classes
    except BaseException:
        if classes is not None:
            classes.drop()
        raise


def _end_jvm(classes: ClassArchive) -> None:
    """End the JVM of a stopped session, wait for its archive, and keep that."""
    gateway = SparkContext._gateway  # PySpark ends it with this process and does not wait
    if gateway is None:
        return
    SparkContext._gateway = SparkContext._jvm = None
    jvm: subprocess.Popen[bytes] = gateway.proc
    with suppress(Py4JError, OSError, subprocess.TimeoutExpired):
        gateway.shutdown()
        jvm.communicate(timeout=_KEEP_SECONDS)  # it ends when its input does
    if jvm.returncode == 0:
        classes.keep()
    jvm.kill()
    classes.drop()


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Redirect the output of a JVM that starts inside the block to a file: the terminal belongs to K2.

    The JVM's log prints what it cannot write, which on a full disk includes Python's tracebacks.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = {number: os.dup(number) for number in (1, 2)}
    with log.open("ab") as file:
        for number in terminal:
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        for number, kept in terminal.items():
            os.dup2(kept, number)
            os.close(kept)

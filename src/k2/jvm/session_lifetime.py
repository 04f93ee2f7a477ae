"""Start and stop a Spark session, also when a signal (Ctrl-C, SIGTERM, SIGHUP) arrives in between."""

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import NoReturn

import psutil
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from k2.settings import Settings

_LAUNCH_MARK = "pyspark-shell"  # in the arguments of the JVM that PySpark starts
_POLITE_SECONDS = 5.0  # for a JVM that starts to remove its folders
_STOP_SECONDS = 60.0
_LOOK = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt(_signal: int, _frame: object) -> NoReturn:
    """Raise KeyboardInterrupt, a handler of signals.

    The answer to the interrupted call to the JVM is never read. PySpark's own handler would send its next
    request over the same connection and take that answer for its own, and py4j, finding the connection open,
    would have the JVM end the connections of all other threads. Closing it prevents both; the thread opens
    another connection.
    """
    if (gateway := SparkContext._gateway) is not None:
        connection = gateway._gateway_client.get_thread_connection()
        if connection is not None:
            connection.close()
    raise KeyboardInterrupt


@contextmanager
def raised_interrupts() -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def begun(make: Callable[[], SparkSession], settings: Settings) -> SparkSession:
    """Start a session in a thread; an interrupt ends the JVM that is starting.

    PySpark knows its JVM only once that answers, and a JVM whose launch was abandoned waits forever. In the
    main thread PySpark would also take over Ctrl-C, which from now on :func:`interrupt` handles.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt)
    with ThreadPoolExecutor(1, "k2-session") as thread:
        session = thread.submit(make)
        try:
            return session.result()
        except KeyboardInterrupt:
            _give_up(session, settings)
            raise


def stop_session(spark: SparkSession) -> None:
    """Stop the session, unless its JVM is gone.

    If this takes more than a minute, because of a full disk or a broker that hangs, the JVM is killed: the next
    start repeats the batches that were running.
    """
    errors: list[Exception] = []

    def stop() -> None:
        try:
            spark.stop()
        except (Py4JError, OSError):
            pass
        except Exception as error:
            errors.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        thread = threading.Thread(target=stop, name="k2-stop", daemon=True)
        thread.start()
        thread.join(_STOP_SECONDS)
        if thread.is_alive():
            _kill_jvm()
            thread.join(_POLITE_SECONDS)
    for error in errors:
        raise error


def _kill_jvm() -> None:
    gateway = SparkContext._gateway
    jvm = getattr(gateway, "proc", None)  # none under spark-submit, whose JVM is our parent
    if jvm is not None:
        jvm.kill()


def _give_up(session: "Future[SparkSession]", settings: Settings) -> None:
    began = time.monotonic()
    while not session.done():
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                words = " ".join(child.cmdline())
                if _LAUNCH_MARK in words and f"-Dk2.home={settings.home}" in words:
                    late = time.monotonic() - began > _POLITE_SECONDS
                    child.kill() if late else child.terminate()
        time.sleep(_LOOK)
    if session.exception() is None:
        stop_session(session.result())

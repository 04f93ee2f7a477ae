"""The jobs under ``spark-submit``: one stream each, in the session that it provides."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import SparkSession

from k2.bars.table import BARS
from k2.cli.app import app_of, run
from k2.cli.unexpected import keep_traces_of_threads
from k2.connectors.kafka import watermarks
from k2.engine.engine import Engine
from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, exchange_named
from k2.home.endpoints import Endpoints, find_endpoints
from k2.home.file_system import check_file_system
from k2.home.paths import named_disk_errors
from k2.jobs.stream_control import StreamControl
from k2.jvm.native_libraries import check_native_libraries
from k2.jvm.session_lifetime import begun, raised_interrupts, stop_session
from k2.jvm.spark import spark_session
from k2.observability.logs import configure_logs
from k2.observability.metrics_server import check_ports
from k2.observability.status import submitted_status_file
from k2.settings import Settings
from k2.storage.table import Layer
from k2.topology import all_streams, consumers_of, port_of, stream_named

_STATUS_SECONDS = 1.0
_NAMES = ", ".join(exchange.name for exchange in EXCHANGES)


class Trigger(StrEnum):
    """When a stream runs its batches."""

    CONTINUOUS = "continuous"
    AVAILABLE_NOW = "available-now"


def run_job(job: str, arguments: Sequence[str]) -> int:
    """Run a job by its name; return the exit code."""
    keep_traces_of_threads()
    function = _JOBS[job] if job in _JOBS else _of_exchange(Layer(job))
    return run(app_of(job, function), arguments, f"jobs/{job}.py")


_TRIGGER = Annotated[Trigger, typer.Option(help="Go on forever, or take what is there and end.")]


def _gold(trigger: _TRIGGER = Trigger.CONTINUOUS) -> None:
    """Union the trades of all exchanges."""
    _run(str(Layer.GOLD), trigger)


def _ohlcv(trigger: _TRIGGER = Trigger.CONTINUOUS) -> None:
    """Keep up the bars of Gold's trades."""
    _run(BARS, trigger)


_JOBS = {str(Layer.GOLD): _gold, BARS: _ohlcv}


def _of_exchange(layer: Layer):  # type: ignore[no-untyped-def]
    def job(
        exchange: Annotated[str, typer.Option(help=f"Whose records: {_NAMES}.")],
        trigger: _TRIGGER = Trigger.CONTINUOUS,
    ) -> None:
        of = exchange_named(exchange)
        _run(f"{layer}-{of.name}", trigger, of.topic if layer is Layer.BRONZE else None)

    job.__doc__ = {
        Layer.BRONZE: "Copy an exchange's records from Kafka, untouched.",
        Layer.SILVER: "Decode and validate an exchange's records.",
    }[layer]
    return job


def _run(name: str, trigger: Trigger, topic: str | None = None) -> None:
    settings = Settings.load()
    configure_logs(settings)
    with named_disk_errors(settings):
        settings.run.mkdir(parents=True, exist_ok=True)
        check_file_system(settings.home)
    endpoints = find_endpoints(settings)
    if topic is not None and not watermarks(endpoints.kafka, topic):
        raise ConfigError(f"Kafka at {endpoints.kafka} has no topic {topic}; a feed makes it.")
    available_now = trigger is Trigger.AVAILABLE_NOW
    if not available_now:
        check_ports(settings, [port_of(name, settings.metrics_port)])
    with raised_interrupts():
        spark = begun(lambda: spark_session(settings, f"k2-{name}"), settings)
        try:
            check_submitted_jvm(spark)
            _stream(settings, endpoints, spark, name, available_now)
        finally:
            stop_session(spark)


def _stream(
    settings: Settings, endpoints: Endpoints, spark: SparkSession, name: str, available_now: bool
) -> None:
    master = str(spark.sparkContext.master)
    streams = all_streams(settings, endpoints.kafka, endpoints.registry, master)
    schedule = MaintenanceSchedule(settings, consumers_of(streams, settings))
    one = [stream_named(streams, name)]
    control = StreamControl(settings)
    with (
        _noted(submitted_status_file(settings, name)) as status_file,
        Engine(spark, settings, one, available_now, schedule=schedule, control=control) as engine,
    ):
        note = _at_most_every(_STATUS_SECONDS, partial(engine.publish, status_file))
        note()
        if available_now:
            engine.run_to_end(note)
            return
        while engine.watch():
            note()
            time.sleep(0.2)
        for failure in engine.failures:
            raise failure


def _at_most_every(seconds: float, work: Callable[[], None]) -> Callable[[], None]:
    """Return what does the work at a call unless it was done less than so many seconds before."""
    done_at = -seconds

    def call() -> None:
        nonlocal done_at
        if time.monotonic() - done_at >= seconds:
            work()
            done_at = time.monotonic()

    return call


@contextmanager
def _noted(status_file: Path) -> Iterator[Path]:
    """Leave no status of a job that has ended; one that was killed is told by its process or its age."""
    status_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield status_file
    finally:
        status_file.unlink(missing_ok=True)


def check_submitted_jvm(spark: SparkSession) -> None:
    """Refuse a JVM of spark-submit in which no batch could be written.

    Raises:
        ConfigError: says what is wrong and what to do.
    """
    jvm = spark.sparkContext._jvm
    if jvm is not None:
        system = jvm.java.lang.System
        check_native_libraries(
            system.getProperty("java.io.tmpdir"), system.getProperty("ZstdTempFolder")
        )

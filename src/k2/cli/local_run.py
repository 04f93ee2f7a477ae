"""One run of the local stack: start everything in order, supervise it, stop it in order."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TextIO

import structlog
from rich.console import Console

from k2.cli.render.run_summary import print_summary
from k2.cli.run_watch import RunWatch, say
from k2.connectors.committed_reader import CommittedReader
from k2.connectors.schema_registry import SchemaRegistry
from k2.engine.engine import Engine
from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.exchanges import EXCHANGES, Exchange
from k2.feeds.sessions.recorder import SessionRecorder
from k2.feeds.topics import prepare_topics
from k2.home.endpoints import Endpoints
from k2.home.paths import prepare_home
from k2.jobs.stream_control import StreamControl
from k2.jvm.driver import LastingDriver
from k2.jvm.session_lifetime import raised_interrupts
from k2.local.feed_process import FeedProcess
from k2.local.monitoring import Monitoring
from k2.local.orphans import run_owner
from k2.local.service_process import ServiceProcess
from k2.local.stack import LocalStack
from k2.observability.logs import configure_logs
from k2.observability.metrics_server import check_ports
from k2.observability.redaction import redacted
from k2.periodic import PeriodicTask
from k2.settings import Settings
from k2.storage.table import Layer
from k2.topology import all_streams, consumers_of, port_of, schema_cache, stream_names

log = structlog.get_logger("k2.up")

READY = "ready"  # in K2_HOME/run: the process that is up
_SESSIONS_SECONDS = 10.0


@dataclass(frozen=True)
class Run:
    """What to run: the feed's command, if any; streams; for how long (seconds, None: until told)."""

    feed: tuple[str, ...]
    seconds: float | None
    streams: bool
    monitoring: bool = False


def supervise(settings: Settings, run: Run, console: Console) -> bool:
    """Run until the time is up or somebody ends it; tell whether all went well.

    Raises:
        K2Error: something could not be started; what had been is stopped.
    """
    with raised_interrupts(), ExitStack() as started:
        prepare_home(settings)
        configure_logs(settings, started.enter_context(_open_log(settings)))
        if run.streams and run_owner(settings) is None:  # else it is the home that is taken
            check_ports(
                settings, map(partial(port_of, first=settings.metrics_port), stream_names())
            )
        monitoring = None
        if run.monitoring:
            monitoring = Monitoring.found(settings, partial(say, console))
        stack = LocalStack(settings, monitoring.agent if monitoring else None)
        started.callback(_say_stopped, settings, stack, console)
        started.callback(stack.stop)
        try:
            with stack.disk_space.named():  # whatever finds no room first
                return _up(settings, run, console, stack, monitoring, started)
        except KeyboardInterrupt:
            say(console, "Stopping …")
            return True
        finally:
            (settings.run / READY).unlink(missing_ok=True)


def _up(
    settings: Settings,
    run: Run,
    console: Console,
    stack: LocalStack,
    monitoring: Monitoring | None,
    started: ExitStack,
) -> bool:
    engine: Engine | None = None
    driver = LastingDriver(settings, console)
    started.callback(lambda: driver.stop(engine is not None and _has_run(engine)))
    local = stack.start(lambda text: say(console, text), driver.start if run.streams else _nothing)
    endpoints = Endpoints(local.kafka, local.registry)
    if settings.kafka:
        fed = f"the feed's trades ({run.feed[0]}) go there" if run.feed else "nothing is simulated"
        say(console, f"K2_KAFKA={redacted(settings.kafka)} is used, no local Kafka; {fed}.")
    _prepare_exchanges(settings, endpoints)
    # Before the streams, which start the faster for having something to start for.
    feed = FeedProcess(settings, run.feed) if run.feed else None
    if feed is not None:
        started.callback(feed.stop)
    if driver.session is not None:
        say(console, "Starting the streams …")
        streams = all_streams(
            settings, endpoints.kafka, endpoints.registry, settings.spark_master, together=True
        )
        engine = started.enter_context(
            Engine(
                driver.session,
                settings,
                streams,
                schedule=MaintenanceSchedule(settings, consumers_of(streams, settings)),
                control=StreamControl(settings),
            )
        )
        engine.publish()  # who is told that we are up finds the streams
    if monitoring is not None:
        statuses = engine.statuses if engine is not None else []
        monitoring.start(stack, statuses, driver.session, partial(say, console))
    recorder = SessionRecorder(settings, endpoints.kafka)
    recording = PeriodicTask("k2-feed-sessions", _SESSIONS_SECONDS, recorder.try_record)
    started.callback(recording.stop)
    recording.start()
    service = None
    if settings.service:
        service = ServiceProcess(settings, partial(say, console))
        started.callback(service.stop)
        service.start()
    (settings.run / READY).write_text(str(os.getpid()))
    watch = RunWatch(settings, stack, engine, feed, endpoints, console, service)
    watch.until(run.seconds)
    if feed is not None:
        feed.stop()
    recording.stop()
    recorder.try_record()
    if service is not None:
        service.ask_to_end()  # takes seconds, which the streams need too
    if engine is None:
        return True
    say(console, "Time is up; the streams take what is left …")
    watch.until_drained()
    balanced = print_summary(settings, CommittedReader(endpoints.kafka))
    return balanced and not engine.failures


def _prepare_exchanges(settings: Settings, endpoints: Endpoints) -> None:
    """Make topics and register schemas, of all exchanges at once: each waits for answers."""
    registry = SchemaRegistry(endpoints.registry, schema_cache(settings, endpoints.registry))

    def prepare(exchange: Exchange) -> None:
        prepare_topics(endpoints, exchange, settings.topic_partitions)
        registry.register(exchange)

    with ThreadPoolExecutor(len(EXCHANGES), "k2-prepare") as threads:
        list(threads.map(prepare, EXCHANGES))


def _has_run(engine: Engine) -> bool:
    """Whether the session has done what sessions do: what it loaded is what the next one will."""
    return any(status.name == Layer.GOLD and status.batches for status in engine.statuses)


def _open_log(settings: Settings) -> TextIO:
    """Open the run's log: what is printed for people does not belong there."""
    return (settings.logs / "k2.log").open("a", encoding="utf-8")


def _say_stopped(settings: Settings, stack: LocalStack, console: Console) -> None:
    if stack.has_begun:  # one that was refused the home has stopped nothing
        say(console, f"Stopped. Everything is in {settings.home}.")


def _nothing() -> None:
    pass

"""Listens, and runs jobs and deliveries beside it until it is told to end."""

import asyncio
import errno
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import structlog
import uvicorn

from k2.errors import ConfigError, InUseError
from k2.home.atomic_files import replace_durably
from k2.home.ports import port_owner
from k2.jobs.delivery.dispatcher import Dispatcher
from k2.jobs.delivery.sinks import sinks_of
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.kinds.clean_registry import CLEAN_REGISTRY, scheduled_cleaning
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.kinds.quality_check import QUALITY_CHECK, scheduled_checks
from k2.jobs.schedule import JobSchedule
from k2.observability.job_metrics import JobMetrics, job_metrics_port
from k2.observability.metrics_server import serve as serve_metrics
from k2.observability.scrape_targets import scrape_target
from k2.quality.quality_metrics import QualityMetrics
from k2.service.app import make_app
from k2.service.guard import LOOPBACK
from k2.service.stream_events import StreamEvents
from k2.settings import Settings

log = structlog.get_logger("k2.api")

_END_SECONDS = 5
_MAX_CONNECTIONS = 500


class JobService:
    """The jobs of a home and their API; :meth:`run` returns when the process is told to end."""

    def __init__(
        self, settings: Settings, kinds: JobKinds, options: EngineOptions | None = None
    ) -> None:
        """Check what can be checked without starting anything.

        Raises:
            ConfigError: it would listen beyond loopback without a token.
        """
        if settings.api_host not in LOOPBACK and settings.api_token is None:
            raise ConfigError(
                f"K2_API_HOST={settings.api_host!r} is reached from other machines: set K2_API_TOKEN"
                " to a secret of 16 characters or more, or listen on 127.0.0.1."
            )
        self.settings = settings
        self._sinks = sinks_of(settings)
        self._scheduled = [scheduled_cleaning()] if CLEAN_REGISTRY.name in kinds else []
        if settings.quality_schedule and QUALITY_CHECK.name in kinds:
            self._scheduled += scheduled_checks(settings)
        self.engine = JobEngine(settings, kinds, options)
        self.port = 0
        self._server: uvicorn.Server | None = None

    def run(self, on_ready: Callable[[str], None] = lambda _url: None) -> None:
        """Start jobs, deliveries, metrics and the API; end on SIGTERM and SIGINT.

        Raises:
            InUseError: another process has the home's jobs, or the port.
            ConfigError: a setting or the registry cannot be used.
        """
        settings = self.settings
        with ExitStack() as started:
            listening = started.enter_context(_listen(settings.api_host, settings.api_port))
            self.port = listening.getsockname()[1]
            metrics = JobMetrics(self.engine.registry)
            metrics.registry.register(QualityMetrics(settings))
            self.engine.on_end, self.engine.on_step_failure = metrics.ended, metrics.step_failed
            app = make_app(settings, self.engine.registry, metrics.registry)
            self.engine.start()
            started.callback(self.engine.stop)
            port = job_metrics_port(settings)
            served = serve_metrics(metrics.registry, settings.bind_host, port)
            started.callback(served.close)
            started.enter_context(scrape_target(settings, "jobs", served.port, driver="jobs"))
            host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
            dispatcher = Dispatcher(self.engine.database, self._sinks)
            dispatcher.start()
            started.callback(dispatcher.stop)
            schedule = JobSchedule(self.engine.registry, self._scheduled, settings.lake.is_dir)
            schedule.start()
            started.callback(schedule.stop)
            events = StreamEvents(settings, self.engine.database)
            events.start()
            started.callback(events.stop)
            url = f"http://{host}:{self.port}"
            log.info("service_started", address=url)
            note = settings.run / "api.json"
            replace_durably(note, json.dumps({"url": url, "pid": os.getpid()}).encode())
            started.callback(note.unlink, missing_ok=True)
            asyncio.run(self._serve(app, listening, lambda: on_ready(url)))
            log.info("service_stopping")

    def stop(self) -> None:
        """End it from another thread."""
        if self._server is not None:
            self._server.should_exit = True

    async def _serve(
        self, app: object, listening: socket.socket, on_ready: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_END_SECONDS,
            lifespan="off",
        )
        self._server = server = _Server(config)
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
        on_ready()
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Takes no signals itself: uvicorn would raise them again once it has ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows TCP, and sends what is small at once: an answer would wait 40 ms for the
    # client's acknowledgement of its headers.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            by = f" by {found}" if (found := port_owner(port)) else ""
            raise InUseError(
                f"Port {port} for the API is taken{by}. Stop what holds it, or set K2_API_PORT to"
                " another port (0 takes a free one)."
            ) from error
        raise ConfigError(
            f"The API cannot listen on {host}:{port}: {error.strerror or error}. Check K2_API_HOST."
        ) from error
    return listening

"""The metrics of all streams of a process. The engine reports what happens to them."""

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from k2.exchanges import EXCHANGES, Exchange
from k2.home.service_restarts import read_restarts
from k2.observability.metrics import StreamMetrics
from k2.observability.metrics_server import serve
from k2.observability.recording import (
    Report,
    record_batch,
    record_failure,
    record_progress,
    record_restart,
)
from k2.observability.resource_metrics import (
    machine,
    record_checkpoint,
    record_table,
)
from k2.periodic import PeriodicTask
from k2.settings import Settings
from k2.storage.handles import MAX_COMMITS_OF_A_WATCHER
from k2.storage.stored_tables import StoredTables
from k2.storage.table import Layer, Table

_LOOK_SECONDS = 10.0


class Watched(Protocol):
    """What metrics need to know of a stream; :class:`k2.engine.stream.Stream` is one."""

    @property
    def name(self) -> str: ...
    @property
    def layer(self) -> Layer: ...
    @property
    def exchange(self) -> Exchange | None: ...
    @property
    def tables(self) -> tuple[Table, ...]: ...
    @property
    def metrics_kind(self) -> str: ...
    @property
    def port_offset(self) -> int: ...
    def checkpoint(self, settings: Settings) -> Path: ...


class EngineMetrics:
    """Serves a metrics registry for each stream while it is entered. Streams go by ``Stream.name``.

    A thread measures checkpoints, tables and the machine every ten seconds, at no cost to batches.
    """

    def __init__(self, settings: Settings, streams: Iterable[Watched]) -> None:
        """Make every stream's metrics, at zero; nothing listens yet."""
        self._settings = settings
        self._streams = {stream.name: stream for stream in streams}
        self._of = {
            name: _metrics(stream, place == 0)
            for place, (name, stream) in enumerate(self._streams.items())
        }
        self._tables = StoredTables(settings.lake, MAX_COMMITS_OF_A_WATCHER)
        self._newest: dict[str, float] = {}
        self._restarts: dict[str, int] = {}  # by service, as counted
        self._open = ExitStack()
        self._looking = PeriodicTask("k2-metrics", _LOOK_SECONDS, self.look, starts_at_once=True)
        self.ports: dict[str, int] = {}

    def __enter__(self) -> "EngineMetrics":
        """Listen on every stream's port.

        Raises:
            InUseError: a port is taken; those that were not are free again.
        """
        with ExitStack() as opened:
            for name, metrics in self._of.items():
                first = self._settings.metrics_port
                port = first and first + self._streams[name].port_offset
                server = serve(metrics.registry, self._settings.bind_host, port)
                opened.callback(server.close)
                self.ports[name] = server.port
            self._open = opened.pop_all()
        self._looking.start()
        self._open.callback(self._looking.stop, 5.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._open.close()

    def __getitem__(self, stream: str) -> StreamMetrics:
        """Return one stream's metrics."""
        return self._of[stream]

    def started(self, stream: str) -> None:
        """Note that a stream runs."""
        self._of[stream].set("k2_stream_running", 1)

    def restarted(self, stream: str) -> None:
        """Note that a stream runs again after a failure."""
        record_restart(self._of[stream])

    def stopped(self, stream: str) -> None:
        """Note that a stream ended without an error."""
        self._of[stream].set("k2_stream_running", 0)

    def failed(self, stream: str, error: BaseException | str) -> str:
        """Count a failure; return its kind."""
        return record_failure(self._of[stream], error)

    def batch_written(self, stream: str, report: Report) -> None:
        """Count a written batch."""
        record_batch(self._of[stream], report, datetime.now(UTC))
        if report.written.newest is not None:
            self._newest[stream] = report.written.newest.timestamp()

    def progressed(self, stream: str, progress: Mapping[str, Any]) -> None:
        """Record a progress report; each is given once."""
        record_progress(self._of[stream], progress)

    def backlog(self, stream: str, records: int) -> None:
        """Set a stream's backlog, measured without the stream's own progress."""
        metrics = self._of[stream]
        metrics.set("k2_backlog_records", max(0, records))
        newest = self._newest.get(stream)
        behind = time.time() - newest if records > 0 and newest else 0
        metrics.set("k2_lag_seconds", max(0.0, behind))

    def balance(self, stream: str, exchange: str, differences: int) -> None:
        """Set how many records of an exchange a stream's check found missing, doubled or unknown."""
        metrics = self._of[stream]
        metrics.set("k2_balance_difference_records", differences, of_exchange=exchange)
        metrics.set("k2_balance_checked_timestamp_seconds", time.time())

    def look(self) -> None:
        """Measure checkpoints, tables and the machine now."""
        first = next(iter(self._of.values()))
        for gauge, value in machine(self._settings.home).items():
            first.set(gauge, value)
        self._count_restarts(first)
        for name, stream in self._streams.items():
            metrics = self._of[name]
            record_checkpoint(metrics, stream.checkpoint(self._settings), time.time())
            for table in stream.tables:
                if (stored := self._tables.find(table.name)) is not None:
                    record_table(metrics, table.name, stored)

    def _count_restarts(self, metrics: StreamMetrics) -> None:
        for service, restarts in read_restarts(self._settings).items():
            more = restarts.count - self._restarts.get(service, 0)
            if more > 0:
                metrics.count("k2_service_restarts_total", more, service=service)
                self._restarts[service] = restarts.count


def _metrics(stream: Watched, is_first: bool) -> StreamMetrics:
    return StreamMetrics(
        stream.name,
        stream.exchange.name if stream.exchange else None,
        str(stream.layer),
        CollectorRegistry(),
        tables=[table.name for table in stream.tables],
        exchanges=[exchange.name for exchange in EXCHANGES],
        versions={"version": version("k2"), "spark": version("pyspark")},
        kind=stream.metrics_kind,
        is_first=is_first,
    )

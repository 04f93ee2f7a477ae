"""All streams of a process: start, watch, retry, stop."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from py4j.protocol import Py4JNetworkError

from k2.engine.backlog_monitor import BacklogMonitor
from k2.engine.buffer_flusher import BufferFlusher
from k2.engine.failures import cause_of
from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.processor import BatchResult
from k2.engine.request_server import RequestServer, request_server
from k2.engine.steering import Steering
from k2.engine.stream import Stream, StreamHandle, reserved
from k2.engine.stream_scheduler import StreamScheduler
from k2.engine.stream_task import StreamTask, note_lags, tasks_before
from k2.engine.streams_behind import find_streams_behind, mark_readers_behind
from k2.engine.table_requests import Control, NoControl
from k2.errors import FailedError, K2Error
from k2.malloc import regularly_given_back
from k2.observability.engine_metrics import EngineMetrics
from k2.observability.status import StreamStatus, write_status
from k2.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = structlog.get_logger("k2.engine")

_NEXT_LOOK_SECONDS = 1.0  # until a stream without input is looked at again
_MAX_OUTAGE_SECONDS = 120.0  # that an available-now run waits for something to come back


@dataclass
class Engine:
    """Runs streams in one Spark session. Use it as a context manager: leaving stops them.

    A stream starts when there are rows for it, or when others wait for it. One that fails because something
    outside does not answer starts again, with growing pauses; one that fails for another reason stays down.
    """

    spark: "SparkSession"
    settings: Settings
    streams: Iterable[Stream]
    available_now: bool = False
    on_batch: Callable[[Stream, BatchResult], None] = lambda _stream, _report: None
    schedule: MaintenanceSchedule | None = None
    control: Control = field(default_factory=NoControl)
    _tasks: list[StreamTask] = field(default_factory=list)
    _held: ExitStack = field(default_factory=ExitStack)
    _server: RequestServer | None = None
    _backlog_monitor: BacklogMonitor | None = None
    _ui: str | None = None
    _scheduler: StreamScheduler | None = None
    _flusher: BufferFlusher | None = None
    _steering: Steering | None = None

    def __enter__(self) -> "Engine":
        """Serve metrics, unless the run ends by itself; reserve all tables; start the streams.

        Raises:
            InUseError: a metrics port is taken, or a table's lock.
        """
        try:
            streams = list(self.streams)
            self._ui = self.spark.sparkContext.uiWebUrl
            metrics = None
            if not self.available_now:
                self._held.enter_context(regularly_given_back())
                metrics = self._held.enter_context(EngineMetrics(self.settings, streams))
            for stream in streams:
                self._held.enter_context(reserved(stream, self.settings))
                self._tasks.append(StreamTask.of(stream, self.settings, metrics))
            find_streams_behind(self._tasks, self.settings)
            self._flusher = BufferFlusher(self._tasks, self._on_result)
            self._flusher.start()
            self._scheduler = StreamScheduler(
                self.spark, self.settings, self._tasks, self.available_now, self._on_result
            )
            if not self.available_now:
                self._steering = Steering(self._tasks, self.control, self._flusher.flush)
                self._steering.start()
            for task in (task for task in self._tasks if not task.is_paused):
                self._start(task)
            self._server = request_server(self._tasks, self.settings, self.control, self.schedule)
            self._server.start()
            if metrics is not None:
                self._backlog_monitor = BacklogMonitor(metrics, self._tasks, self.settings)
                self._backlog_monitor.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the streams and release their tables."""
        self.stop()

    @property
    def statuses(self) -> list[StreamStatus]:
        """The streams' state, in order."""
        return [task.status for task in self._tasks]

    @property
    def failures(self) -> list[K2Error]:
        """The errors of the streams that stay down."""
        return [task.failure for task in self._tasks if task.failure is not None]

    def watch(self) -> bool:
        """Check every stream once, and restart those that are due; tell whether any runs or will run again.

        Raises:
            FailedError: Spark's JVM is gone, and all streams with it.
        """
        now = time.monotonic()
        try:
            for task in self._tasks:
                self._watch(task, now)
                task.status.refresh(now)
        except (Py4JNetworkError, ConnectionError) as error:
            raise FailedError("Spark's JVM is gone, and all streams with it.") from error
        return any(not task.done for task in self._tasks)

    def publish(self, path: Path | None = None) -> None:
        """Work out who waits for whom, and write the status file: the local run's, or ``path``."""
        note_lags(self._tasks)
        file = path or self.settings.run / "streams.json"
        write_status(file, self.statuses, {"spark_ui": self._ui})

    def flush_buffers(self) -> None:
        """Write what streams have buffered, due or not: where no more comes, nobody should wait for it."""
        if self._flusher is not None:
            self._flusher.flush_all()

    def run_to_end(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Wait until every available-now stream is done.

        Raises:
            K2Error: the first failure.
        """
        while self.watch():
            on_tick()
            time.sleep(0.1)
        if self._server is not None and self.schedule is not None:
            for _ in self._tasks:
                self._server.look_after(self.schedule)
        for failure in self.failures:
            raise failure

    def stop(self) -> None:
        """Stop every stream; a batch in flight is left to the next start, which repeats it."""
        for part in (self._backlog_monitor, self._server, self._steering, self._scheduler):
            if part is not None:
                part.stop()
        if self._tasks:
            # At once: each may wait for a Kafka that is gone.
            with ThreadPoolExecutor(len(self._tasks), "k2-stop") as threads:
                list(threads.map(StreamTask.stop, self._tasks))
        if self._flusher is not None:
            self._flusher.stop()  # no further batch reaches it
        for task in self._tasks:
            task.close_resources()
            task.ended("failed" if task.status.state == "failed" else "stopped")
        self._held.close()

    def _start(self, task: StreamTask) -> None:
        try:
            begun = self._scheduler is not None and self._scheduler.begin(task)
        except K2Error as error:
            self._failed(task, error, time.monotonic())
            return
        if not begun:
            task.retry_at = time.monotonic() + _NEXT_LOOK_SECONDS
            if task.stream.chained is None:
                task.status.state, task.done = "waiting", self.available_now
                return
            if task.status.state != "running":
                task.status.state = "waiting"
            if self.available_now and all(t.done for t in tasks_before(task, self._tasks)):
                self._end(task)

    def _end(self, task: StreamTask) -> None:
        """End a chained stream that will get no more batches."""
        if self._flusher is not None:
            self._flusher.flush(task)
        if task.stream.chained is not None:
            task.done = not task.stream.chained.is_behind

    def _on_result(self, task: StreamTask, result: BatchResult) -> None:
        now = time.monotonic()
        if result.progress is not None:  # of a chained stream, told by the one before it
            task = next(task for task in self._tasks if task.stream.app_id == result.stream)
            task.count_chained_batch(result, now)
        else:
            task.count_batch(result, now)
            if task.stream.chained is not None:
                mark_readers_behind(task, self._tasks)
        self.on_batch(task.stream, result)

    def _started(self, task: StreamTask, starting: "Future[StreamHandle]", now: float) -> None:
        task.starting = None
        try:
            running = starting.result()
        except K2Error as error:
            self._failed(task, error, now)
            return
        task.started(running, again=task.status.error is not None)
        log.info("stream_started", job_name=task.stream.name, available_now=self.available_now)

    def _watch(self, task: StreamTask, now: float) -> None:
        if (self._steering is not None and self._steering.holds(task)) or task.done:
            return
        if task.starting is not None and task.starting.done():
            self._started(task, task.starting, now)
        if task.running is None:
            if task.starting is None and now >= task.retry_at and not task.done:
                task.status.restarts += task.status.state == "retrying"
                self._start(task)
            return
        # Asked before its progress: a query that has ended makes no more.
        is_active = task.running.query.isActive
        task.progressed()
        if is_active:
            return
        task.close_resources()
        if task.running.failure is None and task.running.query.exception() is None:
            if task.stream.chained is not None:
                task.finish_catch_up()
                return
            task.done = True
            task.ended("stopped")
        else:
            self._failed(task, cause_of(task.running), now)

    def _failed(self, task: StreamTask, error: K2Error, now: float) -> None:
        task.failed(error)
        task.failing_since = task.failing_since or now
        gave_up = self.available_now and now - task.failing_since > _MAX_OUTAGE_SECONDS
        if error.retryable and not gave_up:
            task.retry_later(now, error)
        else:
            task.give_up(error)

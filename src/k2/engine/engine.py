"""All streams of a process: start, watch, retry, stop."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

import structlog
from py4j.protocol import Py4JNetworkError
from pyspark.sql import SparkSession

from k2.engine.backlog_monitor import Measuring
from k2.engine.buffer_flusher import Collecting
from k2.engine.failures import cause_of
from k2.engine.request_server import request_server
from k2.engine.stream import BatchReport, RunningStream, Stream, reserved
from k2.engine.stream_scheduler import Starter
from k2.engine.stream_task import Slot, note_lags, slots_before
from k2.engine.streams_behind import find_left, leave_to_readers
from k2.engine.table_owner import RequestServer
from k2.errors import FailedError, K2Error
from k2.observability.engine_metrics import EngineMetrics
from k2.observability.status import StreamStatus, write_status
from k2.settings import Settings

log = structlog.get_logger("k2.engine")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
_NEXT_LOOK = 1.0  # seconds until a stream without input is looked at again
_PATIENCE = 120.0  # seconds that an available-now run waits for something to come back


@dataclass
class Engine:
    """Runs streams in one Spark session. Use it as a context manager: leaving stops them.

    A stream is started when there is something for it to take, or was and others wait for it: one
    that was never sent anything costs nothing. One that fails for want of something outside is
    started again, with growing pauses; one that fails for good stays down, and the others go on.
    """

    spark: SparkSession
    settings: Settings
    streams: Iterable[Stream]
    available_now: bool = False
    on_batch: Callable[[Stream, BatchReport], None] = lambda _stream, _report: None
    _slots: list[Slot] = field(default_factory=list)
    _held: ExitStack = field(default_factory=ExitStack)
    _server: RequestServer | None = None
    _measuring: Measuring | None = None
    _ui: str | None = None
    _starter: Starter | None = None
    _collecting: Collecting | None = None

    def __enter__(self) -> "Engine":
        """Listen for who reads metrics, reserve the tables of all streams, then start the streams.

        A run that ends by itself has no metrics: nobody would be there in time to read them.

        Raises:
            InUseError: a metrics port is taken, or a table's lock.
        """
        try:
            streams = list(self.streams)
            self._ui = self.spark.sparkContext.uiWebUrl
            metrics = None
            if not self.available_now:
                metrics = self._held.enter_context(EngineMetrics(self.settings, streams))
            for stream in streams:
                self._held.enter_context(reserved(stream, self.settings))
                self._slots.append(Slot.of(stream, self.settings, metrics))
            find_left(self._slots, self.settings)
            self._collecting = Collecting(self._slots, self._took)
            self._collecting.start()
            self._starter = Starter(
                self.spark, self.settings, self._slots, self.available_now, self._took
            )
            for slot in self._slots:
                self._start(slot)
            self._server = request_server(self._slots, self.settings)
            self._server.start()
            if metrics is not None:
                self._measuring = Measuring(metrics, self._slots, self.settings)
                self._measuring.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the streams and let go of their tables."""
        self.stop()

    @property
    def statuses(self) -> list[StreamStatus]:
        """The streams' state, in order."""
        return [slot.status for slot in self._slots]

    @property
    def failures(self) -> list[K2Error]:
        """Why streams are down for good."""
        return [slot.failure for slot in self._slots if slot.failure is not None]

    def watch(self) -> bool:
        """Look after the streams once; tell whether any is still running or will be again.

        Raises:
            FailedError: Spark's JVM is gone, and all streams with it.
        """
        now = time.monotonic()
        try:
            for slot in self._slots:
                self._watch(slot, now)
                slot.status.refresh(now)
        except (Py4JNetworkError, ConnectionError) as error:
            raise FailedError("Spark's JVM is gone, and all streams with it.") from error
        return any(not slot.done for slot in self._slots)

    def publish(self) -> None:
        """Work out who waits for whom, and write the status file."""
        note_lags(self._slots)
        extra = {"spark_ui": self._ui}
        write_status(self.settings.run / "streams.json", self.statuses, extra)

    def run_to_end(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Wait until every available-now stream is done.

        Raises:
            K2Error: the first failure.
        """
        while self.watch():
            on_tick()
            time.sleep(0.1)
        for failure in self.failures:
            raise failure

    def stop(self) -> None:
        """Stop every stream; a batch in flight is left to the next start, which repeats it."""
        for thread in (self._measuring, self._server):
            if thread is not None:
                thread.stop()
        if self._starter is not None:
            self._starter.stop()
        if self._slots:
            # At once: each may wait for a Kafka that is gone.
            with ThreadPoolExecutor(len(self._slots), "k2-stop") as threads:
                list(threads.map(Slot.stop, self._slots))
        if self._collecting is not None:
            self._collecting.stop()  # nothing more is handed to it
        for slot in self._slots:
            slot.let_go()
            slot.ended("failed" if slot.status.state == "failed" else "stopped")
        self._held.close()

    def _start(self, slot: Slot) -> None:
        try:
            begun = self._starter is not None and self._starter.begin(slot)
        except K2Error as error:
            self._failed(slot, error, time.monotonic())
            return
        if not begun:
            slot.retry_at = time.monotonic() + _NEXT_LOOK
            if slot.stream.follower is None:
                slot.status.state, slot.done = "waiting", self.available_now
                return
            if slot.status.state != "running":
                slot.status.state = "waiting"
            before = slots_before(slot, self._slots)
            if self.available_now and all(other.done for other in before):
                self._end(slot)

    def _end(self, slot: Slot) -> None:
        """End a follower that will be handed nothing more."""
        if self._collecting is not None:
            self._collecting.write(slot)
        if slot.stream.follower is not None:
            slot.done = not slot.stream.follower.left

    def _took(self, slot: Slot, report: BatchReport) -> None:
        now = time.monotonic()
        if report.progress is not None:
            slot = next(slot for slot in self._slots if slot.stream.app == report.stream)
            slot.handed(report, now)
        else:
            slot.took(report, now)
            if slot.stream.follower is not None:
                leave_to_readers(slot, self._slots)
        self.on_batch(slot.stream, report)

    def _started(self, slot: Slot, starting: "Future[RunningStream]", now: float) -> None:
        slot.starting = None
        try:
            running = starting.result()
        except K2Error as error:
            self._failed(slot, error, now)
            return
        slot.started(running, again=slot.status.error is not None)
        log.info("stream_started", job_name=slot.stream.name, available_now=self.available_now)

    def _watch(self, slot: Slot, now: float) -> None:
        if slot.done:
            return
        if slot.starting is not None and slot.starting.done():
            self._started(slot, slot.starting, now)
        if slot.running is None:
            if slot.starting is None and now >= slot.retry_at and not slot.done:
                slot.status.restarts += slot.status.state not in ("starting", "waiting")
                self._start(slot)
            return
        # Asked before its progress: a query that has ended makes no more.
        is_active = slot.running.query.isActive
        slot.progressed()
        if is_active:
            return
        slot.let_go()
        if slot.running.failure is None and slot.running.query.exception() is None:
            if slot.stream.follower is not None:
                slot.level()
                return
            slot.done = True
            slot.ended("stopped")
        else:
            self._failed(slot, cause_of(slot.running), now)

    def _failed(self, slot: Slot, error: K2Error, now: float) -> None:
        slot.failed(error)
        slot.failing_since = slot.failing_since or now
        gave_up = self.available_now and now - slot.failing_since > _PATIENCE
        if error.retryable and not gave_up:
            slot.status.state = "retrying"
            slot.pause = slot.pause or FIRST_PAUSE
            slot.retry_at = now + slot.pause
            slot.pause = min(slot.pause * 2, LONGEST_PAUSE)
            log.warning("stream_retries", job_name=slot.stream.name, reason=str(error))
        else:
            slot.status.state, slot.failure, slot.done = "failed", error, True
            log.error("stream_failed", job_name=slot.stream.name, reason=str(error))

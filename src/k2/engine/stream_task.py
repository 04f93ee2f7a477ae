"""One stream of an engine: its query, state, counts and failures."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import structlog

from k2.engine.processor import BatchResult
from k2.engine.query_progress import ProgressReader, is_batch
from k2.engine.stream import Stream, StreamHandle
from k2.errors import K2Error
from k2.observability.engine_metrics import EngineMetrics
from k2.observability.offset_ranges import offset_ranges
from k2.observability.redaction import redacted
from k2.observability.status import StreamStatus, freshness
from k2.settings import Settings
from k2.storage.checkpoints.consumers import rows_read
from k2.storage.delta import record_count

log = structlog.get_logger("k2.engine")

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 30.0  # between a failure and the next start


@dataclass
class StreamTask:
    """A stream, running or not. ``rows_in`` and ``rows_out`` are of all runs."""

    stream: Stream
    status: StreamStatus
    metrics: EngineMetrics | None = None
    starting: "Future[StreamHandle] | None" = None
    running: StreamHandle | None = None
    pause_seconds: float = 0.0  # before its next start
    retry_at: float = 0.0
    failing_since: float | None = None
    done: bool = False
    failure: K2Error | None = None
    rows_in: int = 0
    rows_out: int = 0  # rows of the main table
    _progress: ProgressReader | None = None
    _unlogged: dict[int, BatchResult] = field(
        default_factory=dict
    )  # written, not in a progress yet

    @classmethod
    def of(cls, stream: Stream, settings: Settings, metrics: EngineMetrics | None) -> "StreamTask":
        """Begin with the counts that the stream's tables hold."""
        status = StreamStatus(
            stream.name, str(stream.layer), stream.exchange.name if stream.exchange else None
        )
        if metrics is not None:
            status.metrics_port = metrics.ports[stream.name]
        if stream.reduction is not None:  # its table holds no row a record
            (source,) = stream.reads
            taken = rows_read(settings.lake, source, stream.checkpoint(settings))
            return cls(stream, status, metrics, rows_in=taken, rows_out=taken)
        stored = [record_count(settings.lake, table) for table in stream.tables]
        # A resolved dead letter is in two tables and came in once.
        taken = sum(stored) - record_count(settings.lake, *stream.audit_tables)
        return cls(stream, status, metrics, rows_in=taken, rows_out=stored[0])

    def started(self, running: StreamHandle, again: bool) -> None:
        """Take over a started query; ``again`` says that the one before it failed."""
        self.running, self._progress = running, ProgressReader(running.query)
        self.status.state = "running"
        if self.metrics is not None:
            (self.metrics.restarted if again else self.metrics.started)(self.stream.name)

    def count_batch(self, report: BatchResult, now: float) -> None:
        """Count a batch that was written ``now`` (seconds, monotonic)."""
        status = self.status
        self.rows_in += report.rows
        self.rows_out += report.written.rows
        status.took(report.rows, report.dead_letters, now)
        status.batch_id = report.batch_id
        status.duplicates += report.duplicates
        status.freshness_seconds = freshness(report.written.oldest)
        status.error, self.pause_seconds, self.failing_since = None, 0.0, None
        self._unlogged[report.batch_id] = report
        if self.metrics is not None:
            self.metrics.batch_written(self.stream.name, report)

    def progressed(self) -> None:
        """Count what the query has done since the last call."""
        for progress in self._progress.new() if self._progress else ():
            self._take_in(progress)

    def count_chained_batch(self, report: BatchResult, now: float) -> None:
        """Count a batch that was received in memory."""
        if self.status.state != "running":
            self.status.state = "running"
            if self.metrics is not None:
                self.metrics.started(self.stream.name)
        self.count_batch(report, now)
        self._take_in(report.progress or {})

    def finish_catch_up(self) -> None:
        """Note that a chained stream's own query has caught up; the next batches arrive in memory."""
        self._log_before(None)
        self.running = self._progress = None
        if self.stream.chained is not None:
            self.stream.chained.finish_catch_up()

    def ended(self, state: str) -> None:
        """Note that the query ended without an error."""
        self._log_before(None)
        self.status.state, self.running, self._progress = state, None, None
        if self.metrics is not None:
            self.metrics.stopped(self.stream.name)

    def failed(self, error: K2Error) -> None:
        """Note why the query, or its start, failed."""
        self._log_before(None)
        self.running = self._progress = None
        self.status.error = redacted(str(error))  # it is written to a file
        if self.stream.chained is not None:
            self.stream.chained.finish_catch_up(is_behind=True)
        if self.metrics is not None:
            self.metrics.failed(self.stream.name, error)

    def pause(self) -> bool:
        """Take nothing any more until :meth:`resume`; tell whether the stream stands still already.

        A batch in hand is ended, or left to the next start, which repeats it.
        """
        self.stop()
        if self.running is not None and self.running.query.isActive:
            return False
        if self.stream.chained is not None:
            self.stream.chained.begin_catch_up()  # what comes meanwhile is for its own query
        self.close_resources()
        self.ended("paused")
        return True

    def retry_later(self, now: float, error: K2Error) -> None:
        """Start again after a pause, each twice as long as the one before."""
        self.status.state = "retrying"
        pause = self.pause_seconds or FIRST_PAUSE_SECONDS
        self.retry_at, self.pause_seconds = now + pause, min(pause * 2, MAX_PAUSE_SECONDS)
        log.warning("stream_retries", job_name=self.stream.name, reason=str(error))

    def give_up(self, error: K2Error) -> None:
        """Stay down, until somebody has the stream started again."""
        self.status.state, self.failure, self.done = "failed", error, True
        log.error("stream_failed", job_name=self.stream.name, reason=str(error))

    def resume(self) -> None:
        """Let a stream that was paused, or has failed, be started again."""
        if self.stream.chained is not None:
            self.stream.chained.finish_catch_up(is_behind=True)
        self.status.state, self.status.error = "waiting", None
        self.done, self.failure, self.failing_since = False, None, None
        self.retry_at = self.pause_seconds = 0.0

    @property
    def is_paused(self) -> bool:
        """Whether it stands still because somebody wants it."""
        return self.status.state == "paused"

    def stop(self) -> None:
        """Stop the query and count its last batches; a query that does not end in time is abandoned."""
        try:
            if self.running is not None:
                self.running.query.stop()
                self.progressed()
        except Exception as error:
            log.warning("stop_failed", job_name=self.stream.name, reason=str(error)[:200])

    def close_resources(self) -> None:
        """Close what stays open between batches; the next batch opens it again."""
        if self.stream.chain is not None:
            self.stream.chain.wait()
        self.stream.processor.close()

    def _take_in(self, progress: Mapping[str, Any]) -> None:
        self.status.progressed(progress)
        if self.metrics is not None:
            self.metrics.progressed(self.stream.name, progress)
        if is_batch(progress):
            self._log_before(progress["batchId"])
            if report := self._unlogged.pop(progress["batchId"], None):
                self._log_batch(report, progress)

    def _log_before(self, batch_id: int | None) -> None:
        """Log batches whose progress report never came: they are written, whatever became of the query."""
        for id_ in sorted(self._unlogged):
            if batch_id is None or id_ < batch_id:
                self._log_batch(self._unlogged.pop(id_), {})

    def _log_batch(self, report: BatchResult, progress: Mapping[str, Any]) -> None:
        log.info(
            "batch_written",
            job_name=self.status.name,
            exchange=self.status.exchange or "all",
            layer=self.status.layer,
            batch_id=report.batch_id,
            rows=report.rows,
            dead_letters=sum(report.dead_letters.values()),
            duplicates=report.duplicates,
            version=report.written.version,
            read=offset_ranges(progress),
        )


def tasks_before(task: StreamTask, tasks: Sequence[StreamTask]) -> list[StreamTask]:
    """Return the tasks upstream of a stream, directly or not."""
    reads = {table.name for table in task.stream.reads}
    near = [other for other in tasks if other.stream.tables[0].name in reads]
    return [*near, *(further for other in near for further in tasks_before(other, tasks))]


def is_read(task: StreamTask, tasks: Sequence[StreamTask]) -> bool:
    """Tell whether another task reads a table that a stream writes."""
    table = task.stream.tables[0].name
    return any(table == read.name for other in tasks for read in other.stream.reads)


def note_lags(tasks: Sequence[StreamTask]) -> None:
    """Note each stream's lag behind its upstream streams, where all of these run here."""
    given = {task.stream.tables[0].name: task.rows_out for task in tasks}
    for task in tasks:
        upstream = [given.get(table.name) for table in task.stream.reads]
        known = [count for count in upstream if count is not None]
        if upstream and len(known) == len(upstream):
            task.status.lag = max(sum(known) - task.rows_in, 0)

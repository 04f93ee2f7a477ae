"""Update a stream's metrics from what it reports: functions of their arguments, without a clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from k2.observability.failure_kinds import failure_kind
from k2.observability.kafka_lag import kafka_lag
from k2.observability.metrics import HOPS, PHASES, StreamMetrics
from k2.storage.writers.arrow import ArrowBatch

LATE = "late"  # among what is observed of a batch: how many of its trades are late


class Span(Protocol):
    """Rows written, and the oldest and newest broker timestamps among them."""

    @property
    def rows(self) -> int: ...
    @property
    def oldest(self) -> datetime | None: ...
    @property
    def newest(self) -> datetime | None: ...


class Report(Protocol):
    """What is reported of a written batch; :class:`k2.engine.stream.BatchResult` is one."""

    @property
    def rows(self) -> int: ...
    @property
    def written(self) -> Span: ...
    @property
    def dead_letters(self) -> dict[str, int]: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def observed(self) -> Mapping[str, float]: ...


def record_batch(metrics: StreamMetrics, report: Report, now: datetime) -> None:
    """Count a batch that was written ``now``."""
    metrics.count("k2_batches_total", 1)
    metrics.count("k2_records_processed_total", report.rows)
    metrics.count("k2_rows_written_total", report.written.rows)
    metrics.set("k2_last_commit_timestamp_seconds", now.timestamp())
    if metrics.has("k2_dlq_records_total"):
        for error_type, records in report.dead_letters.items():
            metrics.count("k2_dlq_records_total", records, error_type=error_type)
        metrics.count("k2_duplicate_records_total", report.duplicates)
    times = broker_times(report)
    if times.size:
        # A broker's clock may be ahead of ours.
        latencies = np.maximum(now.timestamp() - times, 0.0)
        metrics.observe_each("k2_e2e_latency_seconds", latencies)
    _observed(metrics, report.observed)
    if report.written.newest is not None:
        metrics.set("k2_newest_record_timestamp_seconds", report.written.newest.timestamp())


def broker_times(report: Report) -> npt.NDArray[np.float64]:
    """Return the broker's time of each row that a batch wrote, in seconds since 1970.

    Of rows that are not in this process they are taken to lie evenly between the oldest and the newest.
    """
    written, output = report.written, getattr(report, "output", None)
    if written.oldest is None or written.newest is None:
        return np.array([], np.float64)
    if isinstance(output, ArrowBatch) and output.rows.num_rows == written.rows:
        moments = output.rows["kafka_timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        found: npt.NDArray[np.float64] = moments.to_numpy() / 1e6
        return found
    oldest, newest = written.oldest.timestamp(), written.newest.timestamp()
    return np.linspace(oldest, newest, max(written.rows, 1))


def record_progress(metrics: StreamMetrics, progress: Mapping[str, Any]) -> None:
    """Record one ``StreamingQueryProgress``; one of an idle trigger only sets the gauges."""
    durations = progress.get("durationMs") or {}
    total = durations.get("triggerExecution", 0) / 1000
    ended = _time(progress["timestamp"]).timestamp() + total
    if "addBatch" in durations:
        metrics.observe("k2_batch_processing_duration_seconds", total)
        for phase in PHASES:
            metrics.count(
                "k2_batch_phase_seconds_total", durations.get(phase, 0) / 1000, phase=phase
            )
    if metrics.has("k2_state_rows"):
        operators = progress.get("stateOperators") or []
        metrics.set("k2_state_rows", sum(op.get("numRowsTotal", 0) for op in operators))
        metrics.set("k2_state_bytes", sum(op.get("memoryUsedBytes", 0) for op in operators))
    sources = progress.get("sources") or []
    if metrics.has("k2_kafka_lag_offsets"):
        metrics.set("k2_kafka_lag_offsets", sum(map(kafka_lag, sources)))
    if metrics.has("k2_source_lag_files"):
        files = sum(_outstanding_files(source) for source in sources)
        metrics.set("k2_source_lag_files", files)
    if metrics.has("k2_watermark_timestamp_seconds"):
        _event_time(metrics, progress.get("eventTime") or {}, ended)


def record_failure(metrics: StreamMetrics, error: BaseException | str) -> str:
    """Count a failure under its kind, and return the kind."""
    kind = failure_kind(error)
    metrics.count("k2_batch_failures_total", 1, kind=kind)
    if kind == "checkpoint":
        metrics.count("k2_checkpoint_write_failures_total", 1)
    metrics.set("k2_stream_running", 0)
    return kind


def record_restart(metrics: StreamMetrics) -> None:
    """Count a start after a failure."""
    metrics.count("k2_stream_restarts_total", 1)
    metrics.set("k2_stream_running", 1)


def _observed(metrics: StreamMetrics, found: Mapping[str, float]) -> None:
    """Record what else was measured of a batch (:mod:`k2.observability.hop_latencies`)."""
    if metrics.has("k2_late_records_total"):
        metrics.count("k2_late_records_total", found.get(LATE) or 0)
    if metrics.has("k2_hop_latency_seconds"):
        for hop in HOPS:
            if (seconds := found.get(hop)) is not None:
                metrics.observe("k2_hop_latency_seconds", max(0.0, seconds), hop=hop)


def _outstanding_files(source: Mapping[str, Any]) -> int:
    return int((source.get("metrics") or {}).get("numFilesOutstanding", 0))


def _event_time(metrics: StreamMetrics, times: Mapping[str, str], now: float) -> None:
    # Spark's watermark starts at the epoch, which is no watermark.
    watermark = _time(times["watermark"]).timestamp() if "watermark" in times else 0.0
    metrics.set("k2_watermark_timestamp_seconds", watermark)
    metrics.set("k2_watermark_lag_seconds", now - watermark if watermark > 0 else 0)
    if "avg" in times:
        metrics.set("k2_event_age_seconds", max(0.0, now - _time(times["avg"]).timestamp()))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)

"""The catalogue of all metrics of K2, and each stream's metrics in a registry of its own.

docs/reference/metrics.md is generated from :data:`CATALOGUE`; rules and dashboards may use no other metrics.
All series of a stream exist from its start, so that a rate starts at zero.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from k2.observability.failure_kinds import FAILURE_KINDS

ALL_EXCHANGES = "all"  # the exchange label of Gold
STREAM_LABELS = ("stream", "exchange", "layer")
PHASES = ("queryPlanning", "walCommit", "addBatch", "commitOffsets")
SERVICES = ("kafka", "registry", "prometheus", "alertmanager")
HOPS = ("exchange_to_feed", "feed_to_broker")


_EVERYWHERE = ("bronze", "silver", "gold", "bars")
_BATCH_SECONDS = (0.5, 1, 2, 5, 10, 30)
# Fine where a trade usually is, so that a quantile between two bounds is one and not a bound.
_LATENCY_SECONDS = (0.5, 1, 2, 3, 5, 10, 60, 300, 600, 1800)
_HOP_SECONDS = (0.1, 0.5, 1, 10, 300)

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Metric:
    """A metric: its ``labels`` in addition to :data:`STREAM_LABELS`, each with all values that it can have.

    The values of ``table`` are the stream's own tables, those of ``of_exchange`` all exchanges.
    A metric of the whole process exists ``once``, with its first stream.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layers: tuple[str, ...] = _EVERYWHERE
    buckets: tuple[float, ...] = ()
    once: bool = False


def _counter(name: str, help: str, *layers: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "counter", help, labels, layers or _EVERYWHERE)


def _gauge(name: str, help: str, *layers: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "gauge", help, labels, layers or _EVERYWHERE)


def _of_process(name: str, help: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "gauge", help, labels, once=True)


CATALOGUE: tuple[Metric, ...] = (
    _counter("k2_records_processed_total", "Records that a stream took in and wrote somewhere."),
    _counter("k2_rows_written_total", "Rows of the stream's main table."),
    _counter(
        "k2_dlq_records_total",
        "Records that became dead letters.",
        "silver",
        error_type=("decode", "schema", "rule"),  # and filler, where an exchange has such
    ),
    _counter("k2_duplicate_records_total", "Further records of trades that are there.", "silver"),
    _counter("k2_late_records_total", "Trades that reached the broker too late.", "gold"),
    _counter("k2_batches_total", "Batches that were written."),
    Metric(
        "k2_batch_processing_duration_seconds",
        "histogram",
        "Time of a batch from its trigger to its entry in the checkpoint.",
        buckets=_BATCH_SECONDS,
    ),
    _counter("k2_batch_phase_seconds_total", "Time of batches by Spark's phases.", phase=PHASES),
    Metric(
        "k2_e2e_latency_seconds",
        "histogram",
        "From the broker's timestamp to the stream's table, of every record written.",
        buckets=_LATENCY_SECONDS,
    ),
    Metric(
        "k2_hop_latency_seconds",
        "histogram",
        "Way of a batch's newest trade before Kafka had it: exchange to feed, feed to broker.",
        {"hop": HOPS},
        ("silver",),
        _HOP_SECONDS,
    ),
    _gauge("k2_event_age_seconds", "Age of a batch's trades, on average, when written.", "gold"),
    _gauge(
        "k2_newest_record_timestamp_seconds",
        "Broker timestamp of the newest record written; 0 before the first.",
    ),
    _gauge("k2_last_commit_timestamp_seconds", "When the last batch was written; 0 before."),
    _gauge("k2_kafka_lag_offsets", "Offsets that Bronze has not read, by its progress.", "bronze"),
    _gauge("k2_source_lag_files", "Files upstream that a stream has not read.", "silver", "gold"),
    _gauge(
        "k2_backlog_records",
        "Records upstream that a stream has not taken, by Kafka's end and the tables alone: "
        "also true of a stream that makes no progress.",
    ),
    _gauge("k2_lag_seconds", "Age of the oldest state a stream shows while it has a backlog."),
    _gauge("k2_watermark_timestamp_seconds", "Event-time watermark; 0 for none.", "gold"),
    _gauge("k2_watermark_lag_seconds", "The clock minus the watermark; 0 for none.", "gold"),
    _gauge("k2_state_rows", "Rows in Spark's state store; 0 for none.", "gold"),
    _gauge("k2_state_bytes", "Memory of Spark's state store; 0 for none.", "gold"),
    _gauge("k2_stream_running", "1 while the stream runs, 0 while it waits, failed or stopped."),
    _counter("k2_stream_restarts_total", "Starts after a failure."),
    _counter("k2_batch_failures_total", "Batches that failed, by cause.", kind=FAILURE_KINDS),
    _counter("k2_checkpoint_write_failures_total", "Failures to write the checkpoint."),
    _gauge(
        "k2_checkpoint_lag_seconds",
        "Age of the oldest batch that the checkpoint plans but has not committed; 0 for none.",
    ),
    _gauge("k2_table_version", "Newest version of a Delta table.", table=()),
    _gauge("k2_table_files", "Files of a Delta table.", table=()),
    _gauge("k2_table_bytes", "Size of a Delta table's files.", table=()),
    _gauge(
        "k2_balance_difference_records",
        "Records that are not where they must be, by the last check.",
        "gold",
        of_exchange=(),
    ),
    _gauge(
        "k2_balance_checked_timestamp_seconds", "When the balance was checked; 0 for never.", "gold"
    ),
    _of_process("k2_host_cpu_usage_ratio", "CPU of the machine in use, 0 to 1."),
    _of_process("k2_host_memory_usage_ratio", "Memory of the machine in use, 0 to 1."),
    _of_process("k2_host_load1", "Load average of the machine over one minute."),
    _of_process("k2_host_cpus", "CPUs of the machine."),
    _of_process("k2_disk_free_bytes", "Free space of the disk of K2_HOME."),
    _of_process("k2_disk_size_bytes", "Size of the disk of K2_HOME."),
    _of_process(
        "k2_disk_free_inodes_ratio",
        "Share of the files that the disk of K2_HOME can hold that can still be made; 1 where as many as fit.",
    ),
    Metric(
        "k2_service_restarts_total",
        "counter",
        "Local services that ended by themselves and were started again, in this run.",
        {"service": SERVICES},
        once=True,
    ),
    _of_process("k2_build_info", "1; the versions are labels.", version=(), spark=()),
)


class StreamMetrics:
    """One stream's metrics, at zero."""

    def __init__(
        self,
        stream: str,
        exchange: str | None,
        layer: str,
        registry: CollectorRegistry,
        tables: Iterable[str] = (),
        exchanges: Iterable[str] = (),
        versions: Mapping[str, str] | None = None,
        kind: str = "",
        is_first: bool = True,
        catalogue: tuple[Metric, ...] = CATALOGUE,
        beside: "StreamMetrics | None" = None,
    ) -> None:
        """Register the metrics of the stream's ``kind``, which is its layer unless it is said.

        ``versions`` are those of K2 and Spark; the process's first stream tells them. ``beside`` is
        another stream of the same kind in the same registry: both are series of the same metrics.
        """
        self.stream, self.layer = stream, layer
        self.registry = registry
        self._base = (stream, exchange or ALL_EXCHANGES, layer)
        self._metrics: dict[str, MetricWrapperBase] = {}
        build = versions or {"version": "unknown", "spark": "unknown"}
        known = {
            "table": tuple(tables),
            "of_exchange": tuple(exchanges),
            "version": (build["version"],),
            "spark": (build["spark"],),
        }
        for metric in catalogue:
            if (kind or layer) in metric.layers and (is_first or not metric.once):
                made = beside._metrics[metric.name] if beside else _registered(metric, registry)
                self._metrics[metric.name] = made
                values = [metric.labels[label] or known[label] for label in metric.labels]
                for combination in product(*values):
                    made.labels(*self._base, *combination)
        if is_first:
            self.set("k2_build_info", 1, **build)

    def count(self, name: str, amount: float, **labels: str) -> None:
        """Add to a counter."""
        self._child(name, labels).inc(amount)  # type: ignore[attr-defined]

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._child(name, labels).set(value)  # type: ignore[attr-defined]

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""
        self._child(name, labels).observe(value)  # type: ignore[attr-defined]

    def observe_each(self, name: str, values: npt.NDArray[np.float64], **labels: str) -> None:
        """Add an observation of each value to a histogram."""
        self._child(name, labels).observe_each(values)  # type: ignore[attr-defined]

    def has(self, name: str) -> bool:
        """Tell whether the stream's layer has the metric."""
        return name in self._metrics

    def _child(self, name: str, labels: Mapping[str, str]) -> MetricWrapperBase:
        base = dict(zip(STREAM_LABELS, self._base, strict=True))
        return self._metrics[name].labels(**base, **labels)


class _ManyHistogram(Histogram):
    """A histogram that takes a batch's values at once: one by one they would cost more than the batch."""

    def observe_each(self, values: npt.NDArray[np.float64]) -> None:
        """Add an observation of each value."""
        bounds = np.array(self._upper_bounds)
        places = np.searchsorted(bounds, values, side="left")
        for bucket, count in zip(
            self._buckets, np.bincount(places, minlength=len(bounds)).tolist(), strict=True
        ):
            if count:
                bucket.inc(count)
        self._sum.inc(float(values.sum()))


def _registered(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    labels = (*STREAM_LABELS, *metric.labels)
    if metric.kind == "histogram":
        return _ManyHistogram(
            metric.name, metric.help, labels, buckets=metric.buckets, registry=registry
        )
    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, metric.help, labels, registry=registry)

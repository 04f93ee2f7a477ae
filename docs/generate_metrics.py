"""The reference page of K2's metrics, from the catalogue in ``k2.observability.metrics``."""

from collections.abc import Callable, Iterator

from k2.observability.feed_catalogue import FEED_CATALOGUE
from k2.observability.job_metrics import JOB_CATALOGUE
from k2.observability.metrics import CATALOGUE, STREAM_LABELS, Metric
from k2.quality.quality_metrics import QUALITY_CATALOGUE
from k2.settings import Settings
from k2.topology import port_of, stream_names

_DYNAMIC = {
    "table": "the stream's tables",
    "of_exchange": "every exchange",
    "version": "K2's",
    "spark": "PySpark's",
}

Rows = Callable[[tuple[str, ...], list[tuple[object, ...]]], str]


def metrics(rows: Rows) -> Iterator[str]:
    """Every metric, from ``k2.observability.metrics``; ``rows`` formats a table."""
    first = Settings.model_fields["metrics_port"].default
    yield "# Metrics"
    yield (
        "Each stream serves its own at a port of its own, on loopback unless `K2_BIND_HOST` says"
        " otherwise. [Monitor](../how-to/monitor.md) says how to collect them."
    )
    ports = [
        (name, f"`http://127.0.0.1:{port_of(name, first)}/metrics`") for name in stream_names()
    ]
    yield rows(("stream", "address"), [*ports])
    labels = ", ".join(f"`{label}`" for label in STREAM_LABELS)
    yield (
        f"All have the labels {labels}; `exchange` is `all` in Gold. Every value of a label is there"
        " from the start, at zero. The stream of bars has the layer `gold` and the metrics marked"
        " *bars*. What is of the *process* is there once, beside the first of its streams."
    )
    yield rows(
        ("metric", "type", "further labels", "where", "what it says"),
        [
            (f"`{m.name}`", _kind(m), _labels(m), _where(m), m.help)
            for m in sorted((*CATALOGUE, *FEED_CATALOGUE), key=lambda metric: metric.name)
        ],
    )
    yield from _jobs(rows)


def _jobs(rows: Rows) -> Iterator[str]:
    yield "## Jobs and quality"
    yield (
        "The jobs' service serves its own, and those of quality checks and coverage, at `http://127.0.0.1:8005/metrics`, and as `/metrics` of the"
        " API."
    )
    yield rows(
        ("metric", "type", "labels", "what it says"),
        [
            (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), m.help)
            for m in (*JOB_CATALOGUE, *QUALITY_CATALOGUE)
        ],
    )


def _where(metric: Metric) -> str:
    return "process" if metric.once else ", ".join(metric.layers)


def _kind(metric: Metric) -> str:
    if metric.kind != "histogram":
        return metric.kind
    return f"histogram, up to {', '.join(f'{bound:g}' for bound in metric.buckets)}"


def _labels(metric: Metric) -> str:
    return "; ".join(
        f"`{label}`: {', '.join(f'`{v}`' for v in values) or _DYNAMIC[label]}"
        for label, values in metric.labels.items()
    )

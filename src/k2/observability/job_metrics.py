"""Metrics of jobs and of their events, in a registry of their own: port 8005, and the API."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from k2.settings import Settings

_SECONDS = (1, 5, 15, 60, 300, 900, 3_600, 14_400)

# There from the start: of a counter that begins with its first failure, no increase shows that one.
_STEP_ERRORS = ("ConfigError", "ContractError", "FailedError", "InUseError", "UnavailableError")

PORT_OFFSET = 5  # after the first stream's port: the one that no stream has


def job_metrics_port(settings: Settings) -> int:
    """Return the port of the jobs' metrics; 0 takes a free one."""
    return settings.metrics_port and settings.metrics_port + PORT_OFFSET


@dataclass(frozen=True)
class JobMetric:
    """A metric of the jobs' service, and its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


JOB_CATALOGUE = (
    JobMetric("k2_jobs", "gauge", "Jobs in the registry.", ("kind", "state")),
    JobMetric(
        "k2_job_idle_seconds",
        "gauge",
        "Longest time since a running job of the kind did something; 0 for none.",
        ("kind",),
    ),
    JobMetric(
        "k2_job_duration_seconds",
        "histogram",
        "Time of a run of a job until its end, by how it ended.",
        ("kind", "outcome"),
    ),
    JobMetric(
        "k2_job_step_failures_total",
        "counter",
        "Attempts of steps that failed, tried again or not.",
        ("kind", "error"),
    ),
    JobMetric(
        "k2_events_undelivered",
        "gauge",
        "Events that a sink has not taken at the first attempt, and those given up.",
        ("sink",),
    ),
    JobMetric("k2_jobs_registry_up", "gauge", "1 while the jobs' registry answers, else 0.", ()),
)


class Numbers(Protocol):
    """What is read from the jobs' registry at each scrape."""

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by kind and state."""

    def idle_seconds(self) -> dict[str, float]:
        """Return by kind how long ago a running job last did something."""

    def undelivered(self) -> dict[str, int]:
        """Return by sink how many events wait after a failure."""

    def kind_names(self) -> list[str]:
        """Return the kinds of jobs there are."""


@dataclass
class JobMetrics:
    """The metrics; the numbers of jobs are the registry's own at the time of a scrape."""

    numbers: Numbers
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        by_name = {metric.name: metric for metric in JOB_CATALOGUE}
        seconds = by_name["k2_job_duration_seconds"]
        failures = by_name["k2_job_step_failures_total"]
        self._seconds = Histogram(
            seconds.name, seconds.help, seconds.labels, buckets=_SECONDS, registry=self.registry
        )
        self._failures = Counter(
            failures.name, failures.help, failures.labels, registry=self.registry
        )
        for kind in self.numbers.kind_names():
            for outcome in ("completed", "failed"):
                self._seconds.labels(kind, outcome)
            for error in _STEP_ERRORS:
                self._failures.labels(kind, error)
        self.registry.register(_AtScrape(self.numbers))

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """Note a run that ended."""
        self._seconds.labels(kind, outcome).observe(seconds)

    def step_failed(self, kind: str, error: str) -> None:
        """Note an attempt of a step that failed."""
        self._failures.labels(kind, error).inc()


class _AtScrape(Collector):
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Any]:
        """Read the jobs' registry; where it does not answer there are no numbers, and a metric says so."""
        families = {
            metric.name: GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for metric in JOB_CATALOGUE
            if metric.kind == "gauge"
        }
        up = families["k2_jobs_registry_up"]
        try:
            counts = self._numbers.counts()
            idle = self._numbers.idle_seconds()
            undelivered = self._numbers.undelivered()
        except Exception:
            up.add_metric((), 0)
            yield up
            return
        for kind in self._numbers.kind_names():
            for state in ("queued", "running", "paused", "completed", "failed", "cancelled"):
                families["k2_jobs"].add_metric((kind, state), counts.get((kind, state), 0))
            families["k2_job_idle_seconds"].add_metric((kind,), idle.get(kind, 0.0))
        for sink, count in undelivered.items():
            families["k2_events_undelivered"].add_metric((sink,), count)
        up.add_metric((), 1)
        yield from families.values()

    def describe(self) -> Iterator[Any]:
        """Describe nothing in advance: the registry is read at a scrape only."""
        return iter(())

"""Metrics of the quality checks and of coverage, told by the service at each scrape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from k2.exchanges import EXCHANGES, Exchange
from k2.observability.job_metrics import JobMetric
from k2.quality.check_run import PASSED
from k2.quality.checks.catalogue import CHECKS
from k2.quality.coverage.states import Condition
from k2.quality.last_results import read_coverage, read_last
from k2.settings import Settings
from k2.silver.table_names import silver_trades_name
from k2.storage.newest_commits import NewestTime

QUALITY_CATALOGUE = (
    JobMetric(
        "k2_quality_check_failed",
        "gauge",
        "1 while a check's last run was violated or crashed, else 0.",
        ("check", "severity"),
    ),
    JobMetric(
        "k2_quality_violations",
        "gauge",
        "What a check's last run found over its thresholds.",
        ("check", "exchange"),
    ),
    JobMetric(
        "k2_quality_last_run_timestamp_seconds",
        "gauge",
        "When a check ran last; 0 for never.",
        ("check",),
    ),
    JobMetric(
        "k2_coverage_rows",
        "gauge",
        "Rows of the coverage ledger for the last day, a market and hour each, by condition.",
        ("exchange", "condition"),
    ),
    JobMetric(
        "k2_coverage_missing_trades",
        "gauge",
        "Trades of the last day that are missing in open gaps.",
        ("exchange",),
    ),
    JobMetric(
        "k2_newest_trade_timestamp_seconds",
        "gauge",
        "The exchange's time of the newest trade in Silver; 0 before the first.",
        ("exchange",),
    ),
)


@dataclass(eq=False)  # registries keep collectors by identity
class QualityMetrics(Collector):
    """Reads, at a scrape, what the checks left in small files, and the newest commits of Silver."""

    settings: Settings
    exchanges: Sequence[Exchange] = EXCHANGES
    _newest: dict[str, NewestTime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for exchange in self.exchanges:
            path = self.settings.lake / silver_trades_name(exchange)
            self._newest[exchange.name] = NewestTime(path, "timestamp")

    def collect(self) -> Iterator[Any]:
        """Yield every series, those of checks that never ran at zero."""
        families = {
            metric.name: GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for metric in QUALITY_CATALOGUE
        }
        for check in CHECKS:
            last = read_last(self.settings, check.name)
            failed = float(last.status != PASSED)
            families["k2_quality_check_failed"].add_metric(
                (check.name, str(check.severity)), failed
            )
            families["k2_quality_last_run_timestamp_seconds"].add_metric((check.name,), last.run_at)
            for exchange in self.exchanges:
                families["k2_quality_violations"].add_metric(
                    (check.name, exchange.name), last.violations.get(exchange.name, 0)
                )
        hours, missing = read_coverage(self.settings)
        for exchange in self.exchanges:
            for condition in Condition:
                families["k2_coverage_rows"].add_metric(
                    (exchange.name, str(condition)), hours.get(exchange.name, {}).get(condition, 0)
                )
            families["k2_coverage_missing_trades"].add_metric(
                (exchange.name,), missing.get(exchange.name, 0)
            )
            families["k2_newest_trade_timestamp_seconds"].add_metric(
                (exchange.name,), self._newest[exchange.name].seconds()
            )
        yield from families.values()

    def describe(self) -> Iterator[Any]:
        """Name nothing ahead: files are read at a scrape only."""
        return iter(())

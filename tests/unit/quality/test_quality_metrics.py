"""What quality checks and coverage tell at a scrape."""

import subprocess
from datetime import timedelta
from pathlib import Path
from shutil import which

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from k2.quality.checks.catalogue import CHECKS, check_named
from k2.quality.drill.defects import DRILL
from k2.quality.drill.planted_lake import EXCHANGES, NOW
from k2.quality.quality_metrics import QUALITY_CATALOGUE, QualityMetrics
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings
from k2.storage.newest_commits import NewestTime
from tests.support.planted import healthy_lake

pytestmark = pytest.mark.unit


def registry_of(settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(QualityMetrics(settings))
    return registry


def test_every_series_is_there_before_any_check_ran(settings: Settings) -> None:
    registry = registry_of(settings)

    text = generate_latest(registry).decode()

    assert {metric.name for metric in QUALITY_CATALOGUE} == {
        line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")
    }
    for check in CHECKS:
        labels = {"check": check.name, "severity": str(check.severity)}
        assert registry.get_sample_value("k2_quality_check_failed", labels) == 0
    newest = {"exchange": "kraken"}
    assert registry.get_sample_value("k2_newest_trade_timestamp_seconds", newest) == 0


def test_a_violated_check_its_exchange_and_the_gaps_are_told(settings: Settings) -> None:
    lake = healthy_lake(settings)
    next(d for d in DRILL if d.name == "missing-range").plant(lake, NOW + timedelta(minutes=2))
    now = NOW + timedelta(minutes=10)
    lake.write_until(now)
    registry = registry_of(settings)

    CheckRunner(settings, EXCHANGES, lambda: now).run(check_named("coverage"))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("k2_quality_check_failed", check="coverage", severity="error") == 1
    assert value("k2_quality_violations", check="coverage", exchange="kraken") == 1
    assert value("k2_quality_violations", check="coverage", exchange="binance") == 0
    ran = value("k2_quality_last_run_timestamp_seconds", check="coverage")
    assert ran == now.timestamp()
    assert value("k2_coverage_rows", exchange="kraken", condition="available") == 4
    assert value("k2_coverage_rows", exchange="kraken", condition="pending") == 2
    assert value("k2_coverage_missing_trades", exchange="kraken") == 20
    newest = value("k2_newest_trade_timestamp_seconds", exchange="kraken")
    assert newest == pytest.approx(now.timestamp() - 0.05, abs=0.01)


def test_a_file_that_was_half_written_tells_of_no_run(settings: Settings) -> None:
    folder = settings.run / "quality"
    folder.mkdir(parents=True)
    (folder / "coverage.last.json").write_text('{"check": "cov')
    (folder / "prices.last.json").write_text('{"another": "form"}')

    assert b"k2_quality_check_failed" in generate_latest(registry_of(settings))


@pytest.mark.skipif(not which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(settings: Settings) -> None:
    said = subprocess.run(
        ["promtool", "check", "metrics"],
        input=generate_latest(registry_of(settings)),
        capture_output=True,
    )

    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_the_newest_time_of_a_table_stays_when_older_rows_come(
    settings: Settings, tmp_path: Path
) -> None:
    lake = healthy_lake(settings)
    newest = NewestTime(settings.lake / "silver_kraken_trades", "timestamp")
    before = newest.seconds()

    lake.write_until(NOW + timedelta(minutes=1))
    after = newest.seconds()

    assert after == pytest.approx(before + 60)
    assert newest.seconds() == after
    assert NewestTime(tmp_path / "no table", "timestamp").seconds() == 0

"""A planted gap on a real Prometheus: the panels of quality and coverage have data, and its alert fires."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry, start_http_server

pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from k2.home.ports import free_port
from k2.quality.checks.catalogue import check_named
from k2.quality.drill.defects import DRILL
from k2.quality.drill.planted_lake import EXCHANGES, NOW
from k2.quality.quality_metrics import QUALITY_CATALOGUE, QualityMetrics
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings
from monitoring.promql import metric_names, plain
from tests.support.live_monitoring import SHIPPED, Prometheus, eventually
from tests.support.planted import healthy_lake

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed"),
]

OURS = {metric.name for metric in QUALITY_CATALOGUE}
BOARD = json.loads((SHIPPED / "grafana" / "dashboards" / "data-quality.json").read_text())
QUERIES = {
    f"{panel['title']} {target['refId']}": plain(target["expr"])
    for panel in BOARD["panels"]
    for target in panel.get("targets", [])
    if metric_names(plain(target["expr"])) & OURS
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("quality-live")
    settings = Settings.load(home=folder / "home")
    lake = healthy_lake(settings)
    missing_range = next(defect for defect in DRILL if defect.name == "missing-range")
    missing_range.plant(lake, NOW + timedelta(minutes=2))
    now = NOW + timedelta(minutes=10)
    lake.write_until(now)
    CheckRunner(settings, EXCHANGES, lambda: now).run(check_named("coverage"))
    registry = CollectorRegistry()
    registry.register(QualityMetrics(settings))
    served, port = free_port(), free_port()
    server, _ = start_http_server(served, addr="127.0.0.1", registry=registry)
    shutil.copytree(SHIPPED / "prometheus" / "rules", folder / "rules")
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "rule_files: [rules/*.yml]\n"
        "scrape_configs:\n"
        "  - job_name: k2-jobs\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{served}'], labels: {{driver: local}}}}]\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            found = Prometheus(f"http://127.0.0.1:{port}")
            eventually(lambda: _is_scraped(found), 60, "a scrape")
            yield found
        finally:
            process.terminate()
            process.wait(30)
            server.shutdown()


def _is_scraped(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query("k2_quality_check_failed"))
    except (httpx.HTTPError, AssertionError, ValueError):  # not ready yet
        return False


def test_there_are_panels_of_quality_and_coverage() -> None:
    assert len(QUERIES) == 7


@pytest.mark.parametrize("name", QUERIES)
def test_a_panel_of_quality_has_data(live: Prometheus, name: str) -> None:
    assert live.query(QUERIES[name])


def test_the_missing_trades_are_shown_and_their_alert_fires(live: Prometheus) -> None:
    (missing,) = live.query("k2_coverage_missing_trades > 0")

    assert (missing["metric"]["exchange"], missing["value"][1]) == ("kraken", "20")
    eventually(lambda: ("QualityCheckFailed", "") in live.alerts(), 30, "the alert")

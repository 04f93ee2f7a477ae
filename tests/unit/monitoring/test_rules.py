"""Rules, scrape configurations and Alertmanager's are valid; alerts have runbooks and tests."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from k2.exchanges import EXCHANGES
from k2.observability.feed_catalogue import FEED_CATALOGUE
from k2.observability.job_metrics import JOB_CATALOGUE
from k2.observability.metrics import CATALOGUE
from k2.quality.quality_metrics import QUALITY_CATALOGUE
from k2.settings import Settings
from k2.topology import port_of
from monitoring.foreign_metrics import JMX, PROMETHEUS, SPARK_DRIVER, SPARK_EXECUTORS
from monitoring.promql import metric_names

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PROMETHEUS_FOLDER = ROOT / "monitoring" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
FORMS = ("prometheus.yml", "prometheus.cluster.yml")
ASKED_FOR = {
    "SparkJobOOM",
    "DLQThresholdExceeded",
    "CheckpointWriteFailed",
    "E2ELatencySLABreach",
    "JobStalled",
    "TargetDown",
    "BalanceBroken",
    "DiskFilling",
    "InodesRunningOut",
    "FeedDown",
    "FeedSilent",
    "FeedGapOpen",
    "JobFailed",
    "JobStuck",
    "EventUndelivered",
    "QualityCheckFailed",
    "Watchdog",
}

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool (package prometheus) is not installed"
)
needs_amtool = pytest.mark.skipif(
    not shutil.which("amtool"), reason="amtool (package prometheus-alertmanager) is not installed"
)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in sorted((PROMETHEUS_FOLDER / "rules").glob("*.yml"))
        for group in load(path)["groups"]
        for rule in group["rules"]
    ]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
SERIES = {
    name
    for metric in (*CATALOGUE, *FEED_CATALOGUE, *JOB_CATALOGUE, *QUALITY_CATALOGUE)
    for name in (
        [f"{metric.name}_{part}" for part in ("bucket", "sum", "count")]
        if metric.kind == "histogram"
        else [metric.name]
    )
}
KNOWN = SERIES | RECORDED | JMX | PROMETHEUS | SPARK_DRIVER | SPARK_EXECUTORS


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def test_the_alerts_are_those_that_were_asked_for() -> None:
    assert {alert["alert"] for alert in ALERTS} == ASKED_FOR


@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: f"{a['alert']}-{a['labels'].get('cause')}")
def test_an_alert_says_how_bad_what_and_what_to_do(alert: dict[str, Any]) -> None:
    annotations = alert["annotations"]

    assert alert["labels"]["severity"] in {"critical", "warning", "none"}
    assert annotations["summary"]
    assert annotations["description"].endswith(".")
    assert annotations["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"


@pytest.mark.parametrize("alert", sorted(ASKED_FOR))
def test_a_runbook_can_be_followed_at_night(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")

    assert text.startswith(f"# {alert}\n")
    for heading in ("## What it means", "## Look", "## Act", "## Afterwards"):
        assert heading in text
    assert text.count("```") >= 2, "no command to copy"


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == ASKED_FOR


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("record", rule.get("alert")))
def test_every_metric_of_a_rule_exists(rule: dict[str, Any]) -> None:
    assert metric_names(rule["expr"]) - KNOWN == set()


@pytest.mark.parametrize("alert", sorted(ASKED_FOR))
def test_an_alert_has_four_cases_and_fires_in_one(alert: str) -> None:
    cases = [
        case
        for path in (PROMETHEUS_FOLDER / "tests").glob("*.yml")
        for group in load(path)["tests"]
        for case in group["alert_rule_test"]
        if case["alertname"] == alert
    ]

    assert len(cases) >= 4
    assert any(case["exp_alerts"] for case in cases)
    assert alert == "Watchdog" or any(not case["exp_alerts"] for case in cases)


@needs_promtool
@pytest.mark.parametrize(
    "path", sorted((PROMETHEUS_FOLDER / "tests").glob("*.yml")), ids=lambda path: path.stem
)
def test_promtools_rule_tests_pass(path: Path) -> None:
    said = run("promtool", "test", "rules", path)

    assert said.returncode == 0, said.stdout + said.stderr


@needs_promtool
@pytest.mark.parametrize("form", FORMS)
def test_promtool_accepts_configuration_and_rules(form: str) -> None:
    config = run("promtool", "check", "config", PROMETHEUS_FOLDER / form)
    linted = run(
        "promtool", "check", "rules", "--lint=all", *(PROMETHEUS_FOLDER / "rules").glob("*.yml")
    )

    assert config.returncode == 0, config.stdout + config.stderr
    assert linted.returncode == 0, linted.stdout + linted.stderr


@needs_amtool
def test_amtool_accepts_alertmanagers_configuration() -> None:
    said = run("amtool", "check-config", ROOT / "monitoring" / "alertmanager" / "alertmanager.yml")

    assert said.returncode == 0, said.stdout + said.stderr


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=Watchdog", "severity=none"], "dead-mans-switch"),
        (["alertname=JobStalled", "severity=critical"], "pager"),
        (["alertname=DLQThresholdExceeded", "severity=warning"], "chat"),
        (["alertname=Unheard", "severity=odd"], "chat"),
    ],
)
def test_an_alert_reaches_its_receiver(labels: list[str], receiver: str) -> None:
    config = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"

    said = run("amtool", "config", "routes", "test", f"--config.file={config}", *labels)

    assert said.stdout.strip() == receiver, said.stderr


def scraped(form: str, job: str) -> list[str]:
    (found,) = (s for s in load(PROMETHEUS_FOLDER / form)["scrape_configs"] if s["job_name"] == job)
    return [target for config in found["static_configs"] for target in config["targets"]]


def test_the_local_form_scrapes_the_ports_that_streams_serve() -> None:
    first = Settings.load().metrics_port
    names = [f"{layer}-{e.name}" for layer in ("bronze", "silver") for e in EXCHANGES]
    names += ["gold", "ohlcv"]

    assert scraped("prometheus.yml", "k2-streams") == [
        f"127.0.0.1:{port_of(name, first)}" for name in names
    ]
    assert scraped("prometheus.yml", "spark-driver") == [f"127.0.0.1:{Settings.load().ui_port}"]


def test_the_cluster_form_scrapes_the_services_of_compose() -> None:
    services = set(load(ROOT / "docker-compose.yml")["services"])
    streams = scraped("prometheus.cluster.yml", "k2-streams")
    first = Settings.load().metrics_port

    assert streams == [f"{s.split(':')[0]}:{port_of(s.split(':')[0], first)}" for s in streams]
    for job in (
        "k2-streams",
        "spark-driver",
        "spark-executors",
        "spark-master",
        "spark-jmx",
        "kafka",
    ):
        assert {t.split(":")[0] for t in scraped("prometheus.cluster.yml", job)} <= services
    (told,) = load(PROMETHEUS_FOLDER / "prometheus.cluster.yml")["alerting"]["alertmanagers"]
    assert {t.split(":")[0] for c in told["static_configs"] for t in c["targets"]} <= services


def test_compose_gives_its_java_services_the_agents_that_prometheus_scrapes() -> None:
    services = load(ROOT / "docker-compose.yml")["services"]
    options = {
        name: " ".join(str(value) for value in service.get("environment", {}).values())
        for name, service in services.items()
    }
    for job in ("spark-jmx", "kafka"):
        for target in scraped("prometheus.cluster.yml", job):
            host, port = target.split(":")
            assert re.search(rf"-javaagent:\S+\.jar={port}:\S+/\w+\.yml", options[host])


def test_no_configuration_holds_a_secret() -> None:
    texts = [path.read_text() for path in (ROOT / "monitoring").rglob("*.yml")]

    assert [t for t in texts if re.search(r"(password|secret|api_key|token):", t)] == []

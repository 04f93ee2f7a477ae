"""On a running K2 with a real Prometheus: every query has data, and a fault raises its own alert."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from confluent_kafka import Producer

pytest.importorskip("promql_parser", reason="promql-parser is not installed")

import json

from monitoring.foreign_metrics import JMX, SPARK_DRIVER, SPARK_EXECUTORS
from monitoring.promql import plain, selectors
from tests.integration.monitoring.live import (
    CANARY,
    K2,
    ROOT,
    SHIPPED,
    Prometheus,
    eventually,
    k2_up,
    prometheus,
)

from k2.observability.metrics import CATALOGUE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed"),
]

QUIET = {"Watchdog"}


def panel_queries() -> dict[str, str]:
    return {
        f"{board['title']}: {panel['title']} {target['refId']}": target["expr"]
        for path in sorted((ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"))
        for board in [json.loads(path.read_text())]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }


def rule_expressions() -> list[str]:
    return [
        rule["expr"]
        for path in (SHIPPED / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


@pytest.fixture(scope="module")
def k2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[K2]:
    with k2_up(tmp_path_factory.mktemp("live") / "home", "--rate", "100/s") as running:
        yield running


@pytest.fixture(scope="module")
def live(k2: K2, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus") / "p", k2) as found:
        eventually(
            lambda: found.query('sum(rate(k2_records_processed_total{layer="gold"}[10s])) > 0'),
            120,
            "trades in Gold",
        )
        yield found


@pytest.mark.parametrize("name", panel_queries())
def test_a_panels_query_has_data(live: Prometheus, name: str) -> None:
    query = plain(panel_queries()[name]).replace("[5m]", "[15s]")

    found = eventually(lambda: live.query(query), 30, f"data of {query}")

    assert all(sample["value"][1] != "NaN" for sample in found) or "quantile" in query


def test_every_series_that_a_rule_asks_for_is_there(live: Prometheus) -> None:
    asked = {
        (
            f"{selector.name}{{{','.join(str(m) for m in selector.matchers.matchers)}}}"
            if False
            else selector.name
        )
        for expression in rule_expressions()
        for selector, _ in selectors(expression)
    }

    missing = {name for name in asked - JMX if name and not live.query(name)}

    assert missing == set()


def test_nothing_is_emitted_that_the_reference_does_not_name(k2: K2) -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    pages = [
        httpx.get(f"http://127.0.0.1:{k2.metrics_port + offset}/metrics").text
        for offset in range(5)
    ]
    emitted = set(re.findall(r"^# TYPE (\S+)", "\n".join(pages), re.MULTILINE))

    assert {name for name in emitted if f"`{name}`" not in reference} == set()
    assert {metric.name for metric in CATALOGUE} == emitted
    assert sum(not line.startswith("#") for p in pages for line in p.splitlines()) < 500


def test_spark_exports_the_names_that_are_used(k2: K2) -> None:
    base = f"http://127.0.0.1:{k2.ui_port}/metrics"
    driver = httpx.get(f"{base}/prometheus", follow_redirects=True).text
    executors = httpx.get(f"{base}/executors/prometheus", follow_redirects=True).text

    assert {name for name in SPARK_DRIVER if name not in driver} == set()
    assert {name for name in SPARK_EXECUTORS if name not in executors} == set()


def test_no_secret_is_in_sparks_ui_the_metrics_or_the_logs(k2: K2) -> None:
    base = f"http://127.0.0.1:{k2.ui_port}"
    pages = [
        httpx.get(base + path, follow_redirects=True).text
        for path in ("/environment/", "/metrics/prometheus", "/api/v1/applications")
    ]
    pages += [httpx.get(f"http://127.0.0.1:{k2.metrics_port + n}/metrics").text for n in range(5)]
    logs = [path.read_text(errors="replace") for path in (k2.home / "logs").rglob("*.log")]

    assert "spark.k2.test.password" in pages[0]  # it did get there
    assert [text for text in pages + logs if CANARY in text] == []


def test_a_healthy_k2_fires_nothing_but_the_watchdog(live: Prometheus) -> None:
    assert live.firing() == QUIET


def test_a_killed_driver_fires_SparkJobOOM_alone(k2: K2, live: Prometheus) -> None:
    """The last test of this stack: it ends it."""
    victim = psutil.Process(k2.pid)
    jvms = [child for child in victim.children(recursive=True) if child.name() == "java"]

    os.kill(victim.pid, signal.SIGKILL)

    firing = eventually(lambda: live.firing() - QUIET, 60, "an alert")
    assert firing == {"SparkJobOOM"}
    k2.run("down", check=False)
    assert not [child for child in jvms if child.is_running()]


def test_a_flood_of_bad_records_fires_DLQThresholdExceeded_alone(tmp_path: Path) -> None:
    options = ("--rate", "100/s")
    with k2_up(tmp_path / "home", *options) as k2, prometheus(tmp_path / "p", k2) as live:
        eventually(lambda: live.query("k2_records_processed_total > 0"), 120, "records")

        _produce(k2, b"no avro at all", 5_000)

        firing = eventually(lambda: live.firing() - QUIET, 90, "an alert")
        assert firing == {"DLQThresholdExceeded"}


def test_an_unwritable_checkpoint_fires_CheckpointWriteFailed_alone(tmp_path: Path) -> None:
    with k2_up(tmp_path / "home", "--rate", "100/s") as k2, prometheus(tmp_path / "p", k2) as live:
        eventually(
            lambda: live.query('k2_records_processed_total{layer="gold"} > 0'), 120, "records"
        )
        commits = k2.home / "checkpoints" / "gold" / "v1" / "commits"

        # Rights do not stop root; a file where the folder should be stops everybody.
        shutil.move(commits, tmp_path / "commits")
        commits.touch()

        firing = eventually(lambda: live.firing() - QUIET, 90, "an alert")
        assert firing == {"CheckpointWriteFailed"}


def test_a_stream_that_waits_while_records_do_fires_JobStalled_alone(tmp_path: Path) -> None:
    with k2_up(tmp_path / "home", "--rate", "100/s") as k2, prometheus(tmp_path / "p", k2) as live:
        eventually(
            lambda: live.query('min(k2_records_processed_total{layer="silver"}) > 0'),
            120,
            "both exchanges' schemas to be known",
        )
        registry = _registry(k2)

        # A record of a schema that only the registry can tell of, which does not answer.
        registry.suspend()
        try:
            _produce(k2, b"\x00" + (999_999).to_bytes(4, "big") + b"?", 1)
            firing = eventually(lambda: live.firing() - QUIET, 180, "an alert")
        finally:
            registry.resume()

        assert firing == {"JobStalled"}
        stalled = live.query('ALERTS{alertname="JobStalled", alertstate="firing"}')
        assert "silver-kraken" in {sample["metric"]["stream"] for sample in stalled}


def _registry(k2: K2) -> psutil.Process:
    children = psutil.Process(k2.pid).children(recursive=True)
    (found,) = (child for child in children if any("k2.registry" in a for a in child.cmdline()))
    return found


def _produce(k2: K2, value: bytes, records: int) -> None:
    endpoints = json.loads((k2.home / "run" / "endpoints.json").read_text())
    producer = Producer({"bootstrap.servers": endpoints["kafka"]})
    for _ in range(records):
        producer.produce("market.crypto.trades.kraken.raw", value)
    producer.flush(30)

"""On a running K2 with a real Prometheus: every query has data, and a fault raises its own alert."""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

pytest.importorskip("promql_parser", reason="promql-parser is not installed")

from k2.exchanges import EXCHANGES
from k2.observability.metrics import CATALOGUE
from k2.topology import stream_names
from monitoring.foreign_metrics import JMX, SPARK_DRIVER, SPARK_EXECUTORS
from monitoring.promql import plain, selectors
from tests.support.live_monitoring import (
    CANARY,
    K2,
    PATIENCE,
    ROOT,
    SHIPPED,
    WATCHDOG,
    Prometheus,
    eventually,
    k2_up,
    live_feed,
    page,
    prometheus,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not all(map(shutil.which, ("prometheus", "promtool", "amtool"))),
        reason="prometheus and prometheus-alertmanager are not installed",
    ),
]

KRAKEN = next(exchange for exchange in EXCHANGES if exchange.name == "kraken")


def panel_queries() -> dict[str, str]:
    return {
        f"{board['title']}: {panel['title']} {target['refId']}": target["expr"]
        for path in sorted((SHIPPED / "grafana" / "dashboards").glob("*.json"))
        for board in [json.loads(path.read_text())]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in sorted((SHIPPED / "prometheus" / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


@pytest.fixture(scope="module")
def k2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[K2]:
    home = tmp_path_factory.mktemp("live") / "home"
    with k2_up(home, "--rate", "100/s", "--monitoring") as running, live_feed(running):
        yield running


@pytest.fixture(scope="module")
def live(k2: K2, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), k2) as found:
        eventually(
            lambda: found.query('sum(rate(k2_records_processed_total{stream="gold"}[10s])) > 0'),
            PATIENCE,
            "trades in Gold",
        )
        yield found


@pytest.mark.parametrize("name", panel_queries())
def test_a_panels_query_has_data(k2: K2, live: Prometheus, name: str) -> None:
    query = plain(panel_queries()[name]).replace("[5m]", "[15s]")
    if "k2_job_duration_seconds_bucket" in query:  # has a quantile only where a job has just ended
        k2.run("jobs", "submit", "quality-check", "--param", "check=schema-drift", "--detach")

    def numbers() -> list[float]:
        values = [float(sample["value"][1]) for sample in live.query(query)]
        return [value for value in values if not math.isnan(value)]

    assert eventually(numbers, 60, f"numbers of {query}")


def test_every_series_that_a_rule_asks_for_is_there(live: Prometheus) -> None:
    asked = {
        (selector.name, tuple(map(str, selector.matchers.matchers)))
        for rule in rules()
        for selector, _ in selectors(rule["expr"])
        if selector.name not in JMX
    }
    queries = [f"{name or ''}{{{','.join(matchers)}}}" for name, matchers in sorted(asked)]

    missing = [query for query in queries if not live.query(query)]

    assert missing == []


@pytest.mark.parametrize(
    "rule", [rule for rule in rules() if "record" in rule], ids=lambda r: r["record"]
)
def test_a_recorded_series_has_data(live: Prometheus, rule: dict[str, Any]) -> None:
    assert eventually(lambda: live.query(rule["record"]), 30, rule["record"])


def test_no_rule_fails_when_it_is_evaluated(live: Prometheus) -> None:
    groups = json.loads(page(f"{live.url}/api/v1/rules"))["data"]["groups"]
    health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    assert set(health) == {rule.get("alert", rule.get("record")) for rule in rules()}
    assert set(health.values()) == {"ok"}


def test_what_is_emitted_is_what_the_reference_names(k2: K2) -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    pages = k2.pages()
    emitted = set(re.findall(r"^# TYPE (\S+)", "\n".join(pages.values()), re.MULTILINE))

    assert set(pages) == set(stream_names())
    assert emitted == {metric.name for metric in CATALOGUE}
    assert {name for name in emitted if f"`{name}`" not in reference} == set()


def test_a_process_has_fewer_than_500_series_and_promtool_no_complaint(k2: K2) -> None:
    pages = k2.pages().values()
    said = [
        subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        for text in pages
    ]

    assert sum(not line.startswith("#") for text in pages for line in text.splitlines()) < 500
    assert [done.stdout + done.stderr for done in said] == [""] * len(said)


def test_spark_exports_the_names_that_are_used(k2: K2) -> None:
    base = f"{k2.ui}/metrics"
    driver, executors = page(f"{base}/prometheus"), page(f"{base}/executors/prometheus")

    assert {name for name in SPARK_DRIVER if name not in driver} == set()
    assert {name for name in SPARK_EXECUTORS if name not in executors} == set()
    # Of a query that runs in any form; a stream that is handed its batches has none.
    streaming = "metrics_k2_driver_spark_streaming_bronze_binance"
    eventually(lambda: streaming in page(f"{base}/prometheus"), 60, "Bronze's own metrics of Spark")


def test_late_trades_and_ways_to_kafka_are_observed(live: Prometheus) -> None:
    for query in (
        "k2_late_records_total > 0",
        'k2_hop_latency_seconds_count{hop="exchange_to_feed"} > 0',
        'k2_hop_latency_seconds_count{hop="feed_to_broker"} > 0',
    ):
        assert eventually(lambda query=query: live.query(query), 60, query)


def test_k2s_own_prometheus_reaches_all_and_tells_alertmanager(k2: K2) -> None:
    url = k2.status["services"]["prometheus"]["address"]
    own = Prometheus(url)

    eventually(lambda: len(own.query("up == 1")) == len(stream_names()) + 4, 60, "all targets")

    assert own.query("up == 0") == []
    assert own.query("k2_kafka_messagesin_total")
    alertmanager = k2.status["services"]["alertmanager"]["address"]
    alerts = f"{alertmanager}/api/v2/alerts"
    heard = eventually(lambda: json.loads(page(alerts)), 60, "an alert at Alertmanager")
    assert {alert["labels"]["alertname"] for alert in heard} == {WATCHDOG[0]}


def test_no_secret_is_in_sparks_ui_the_metrics_or_the_logs(k2: K2) -> None:
    paths = ("/environment/", "/metrics/prometheus", "/api/v1/applications")
    pages = [page(k2.ui + path) for path in paths]
    pages += k2.pages().values()
    logs = [path.read_text(errors="replace") for path in (k2.home / "logs").rglob("*.log")]

    assert "spark.k2.test.password" in pages[0]  # it did get there
    assert "spark.k2.test.url" in pages[0]
    assert [text for text in pages + logs if CANARY in text] == []


def test_no_record_is_in_the_logs(k2: K2, live: Prometheus) -> None:
    text = "".join(path.read_text(errors="replace") for path in (k2.home / "logs").rglob("*.log"))
    values = [value for value in _values(k2, 200) if value]
    telling = [value[8:40].decode("latin-1") for value in values]

    assert len(telling) > 50
    assert [part for part in telling if part in text] == []
    lines = [line for line in (k2.home / "logs" / "k2.log").read_text().splitlines() if "{" in line]
    written = [json.loads(line) for line in lines if '"batch_written"' in line]
    assert {"job_name", "exchange", "layer", "batch_id", "read", "rows"} <= written[-1].keys()
    assert any(line["read"] for line in written)


def test_the_running_balance_is_looked_at_and_holds(live: Prometheus) -> None:
    checked = "k2_balance_checked_timestamp_seconds > 0"
    eventually(lambda: live.query(checked), 120, "a look at the balance")

    found = live.query("k2_balance_difference_records")

    assert {sample["metric"]["of_exchange"] for sample in found} == {e.name for e in EXCHANGES}
    assert {float(sample["value"][1]) for sample in found} == {0}


def test_a_healthy_k2_fires_nothing_but_the_watchdog(live: Prometheus) -> None:
    assert live.is_quiet()


def test_a_killed_driver_fires_SparkJobOOM_alone(k2: K2, live: Prometheus) -> None:
    """The last test of this stack: it ends it."""
    victim = psutil.Process(k2.pid)
    below = victim.children(recursive=True)

    os.kill(victim.pid, signal.SIGKILL)

    assert {name for name, _ in live.settled(60)} == {"SparkJobOOM"}
    k2.run("down", check=False)
    # The feed tries to send what it has, and gives up.
    eventually(lambda: not any(map(psutil.Process.is_running, below)), 60, "nothing to be left")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[K2, Prometheus]]:
    folder = tmp_path_factory.mktemp("faulty")
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        k2_up(folder / "home", "--rate", "100/s", ui_port=taken.getsockname()[1]) as running,
        prometheus(folder / "prometheus", running) as found,
    ):
        # Two of each layer, Gold and the bars: the schemas of both exchanges are known.
        busy = "sum by (stream) (k2_records_processed_total) > 0"
        eventually(lambda: len(found.query(busy)) == 6, PATIENCE, "every stream's first batch")
        yield running, found


def test_a_ui_port_that_is_taken_stops_nobody(faulty: tuple[K2, Prometheus]) -> None:
    k2, live = faulty

    assert int(k2.ui.rpartition(":")[2]) > k2.ui_port
    assert live.query('up{job="spark-driver"} == 1')


def test_a_stream_that_waits_while_records_do_fires_JobStalled_alone(
    faulty: tuple[K2, Prometheus],
) -> None:
    k2, live = faulty
    # Some records of the feed need the registry, too: all must be taken before it is gone.
    k2.child("simulate").terminate()
    k2.run("drain")
    registry = k2.child("k2.registry")
    registry.suspend()
    try:
        # A record of a schema that only the registry can tell of, which does not answer.
        _produce(k2, b"\x00" + (999_999).to_bytes(4, "big") + b"?", 3)
        alerts = live.settled(240)
    finally:
        registry.resume()

    # Streams of other exchanges have nothing to take: idle is not stalled.
    assert alerts == {("JobStalled", "silver-kraken")}


def test_a_flood_of_bad_records_fires_DLQThresholdExceeded_alone(
    faulty: tuple[K2, Prometheus],
) -> None:
    k2, live = faulty
    eventually(live.is_quiet, 180, "quiet after the fault before")

    _produce(k2, b"no avro at all", 5_000)

    assert live.settled(120) == {("DLQThresholdExceeded", "kraken")}


def test_an_unwritable_checkpoint_fires_CheckpointWriteFailed_alone(
    faulty: tuple[K2, Prometheus], tmp_path: Path
) -> None:
    """The last test of this stack: its Gold does not come back."""
    k2, live = faulty
    eventually(live.is_quiet, 180, "quiet after the fault before")
    commits = k2.home / "checkpoints" / "gold" / "v1" / "commits"

    # Rights do not stop root; a file where the folder should be stops everybody.
    shutil.move(commits, tmp_path / "commits")
    commits.touch()
    k2.run("simulate", "--rate", "100/s", "--for", "5s")

    assert live.settled(120) == {("CheckpointWriteFailed", "gold")}


def _kafka(k2: K2) -> str:
    return str(json.loads((k2.home / "run" / "endpoints.json").read_text())["kafka"])


def _produce(k2: K2, value: bytes, records: int) -> None:
    producer = Producer({"bootstrap.servers": _kafka(k2)})
    for _ in range(records):
        producer.produce(KRAKEN.topic, value)
    producer.flush(30)


def _values(k2: K2, most: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": _kafka(k2), "group.id": "test"})
    try:
        consumer.assign([TopicPartition(KRAKEN.topic, 0, 0)])
        return [message.value() for message in consumer.consume(most, 20)]
    finally:
        consumer.close()

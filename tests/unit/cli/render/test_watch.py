"""The terminal shows what the dashboards show."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from k2.cli.render.watch import dashboard, watch
from k2.exchanges import EXCHANGES
from k2.observability.metrics import StreamMetrics
from k2.observability.scrapes import Scrape, ScrapeDelta
from k2.observability.status import StreamStatus

pytestmark = pytest.mark.unit


def shown(facts: dict[str, Any], change: ScrapeDelta) -> str:
    console = Console(width=140, record=True, force_terminal=False)
    console.print(dashboard(facts, change))
    return console.export_text()


def facts() -> dict[str, Any]:
    streams = [StreamStatus("silver-kraken", "silver", "kraken", state="running")]
    return {"home": "/home/k2", "streams": [stream.public() for stream in streams]}


def silver() -> StreamMetrics:
    exchanges = [exchange.name for exchange in EXCHANGES]
    return StreamMetrics("silver-kraken", "kraken", "silver", CollectorRegistry(), [], exchanges)


def read(metrics: StreamMetrics, at: float) -> Scrape:
    return Scrape.of(at, [generate_latest(metrics.registry).decode()])


def test_a_minute_of_a_stream_is_shown() -> None:
    metrics = silver()
    before = read(metrics, 1000.0)
    metrics.count("k2_records_processed_total", 600)
    metrics.count("k2_dlq_records_total", 60, error_type="decode")
    metrics.set("k2_backlog_records", 1234)
    metrics.set("k2_newest_record_timestamp_seconds", 1057)
    metrics.set("k2_host_cpu_usage_ratio", 0.42)

    text = shown(facts(), ScrapeDelta(before, read(metrics, 1060.0)))

    assert "1,234" in text
    assert "10.00%" in text
    assert "3.0 s" in text
    assert "CPU 42%" in text


def test_an_exchange_without_records_has_no_share() -> None:
    reading = read(silver(), 1000.0)

    text = shown(facts(), ScrapeDelta(reading, reading))

    assert "nan%" not in text.lower()
    assert "binance" in text


def test_nothing_that_runs_is_said() -> None:
    console = Console(width=100, record=True, force_terminal=False)

    watch(lambda: {"home": "/home/k2", "streams": []}, console, looks=1)

    assert "No streams run here" in console.export_text()


def test_balance_and_data_quality_fit_a_window_of_80_by_24() -> None:
    names = [*(f"{layer}-{e.name}" for layer in ("bronze", "silver") for e in EXCHANGES)]
    streams = [
        StreamStatus(name, name.split("-")[0], None, state="running", rows=10**9).public()
        for name in (*names, "gold", "ohlcv")
    ]
    reading = read(silver(), 1000.0)
    console = Console(width=80, height=24, record=True, force_terminal=False)

    console.print(
        dashboard({"home": "/home/k2", "streams": streams}, ScrapeDelta(reading, reading), 24)
    )

    text = console.export_text()
    assert len(text.splitlines()) <= 24
    assert "balance" in text
    assert "silver-coinbase" in text
    assert "Data quality" in text
    assert "CPU" in text


def test_a_tall_window_shows_latencies_too() -> None:
    reading = read(silver(), 1000.0)
    console = Console(width=80, record=True, force_terminal=False)

    console.print(dashboard(facts(), ScrapeDelta(reading, reading), 60))

    assert "p99" in console.export_text()

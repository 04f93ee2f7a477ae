"""Metrics are served where the contract says, and a taken port is a sentence."""

import os
import socket
import time
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from prometheus_client import CollectorRegistry

from k2.errors import ConfigError, InUseError
from k2.gold.table import GOLD_TRADES
from k2.home.ports import free_port
from k2.observability.engine_metrics import EngineMetrics
from k2.observability.metrics import StreamMetrics
from k2.observability.metrics_server import check_ports, serve
from k2.observability.resource_metrics import machine, record_checkpoint, record_table
from k2.settings import Settings
from k2.storage.stored_tables import StoredTables
from k2.storage.table import Layer
from k2.topology import port_of
from tests.support.ports import free_row

pytestmark = pytest.mark.unit


class Gold:
    name = "gold"
    layer = Layer.GOLD
    exchange = None
    tables = (GOLD_TRADES,)
    metrics_kind = "gold"
    port_offset = 4

    def checkpoint(self, settings: Settings) -> Path:
        return settings.checkpoints / "gold" / "v1"


def gold_metrics() -> StreamMetrics:
    return StreamMetrics("gold", None, "gold", CollectorRegistry(), ["gold_trades"], ["binance"])


def gauge(metrics: StreamMetrics, name: str, **labels: str) -> float | None:
    base = {"stream": "gold", "exchange": "all", "layer": "gold"}
    return metrics.registry.get_sample_value(name, {**base, **labels})


@pytest.mark.parametrize(
    ("stream", "port"),
    [
        ("bronze-binance", 8000),
        ("bronze-kraken", 8001),
        ("silver-binance", 8002),
        ("silver-kraken", 8003),
        ("gold", 8004),
        ("bronze-coinbase", 8006),
        ("silver-coinbase", 8007),
        ("ohlcv", 8020),
    ],
)
def test_a_stream_has_its_port(stream: str, port: int) -> None:
    assert port_of(stream, 8000) == port
    assert port_of(stream, 0) == 0


def test_a_taken_port_names_port_holder_and_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(InUseError) as error:
            serve(CollectorRegistry(), "127.0.0.1", port)

    assert str(port) in str(error.value)
    assert f"process {os.getpid()}" in str(error.value)
    assert "K2_METRICS_PORT" in str(error.value)


def test_a_taken_port_is_found_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings.load(home=tmp_path, metrics_port=taken.getsockname()[1])

        with pytest.raises(InUseError, match="K2_METRICS_PORT") as error:
            check_ports(settings, [settings.metrics_port])

    assert error.value.exit_code == 2


def test_ports_that_were_checked_are_free_to_take(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings.load(home=tmp_path, metrics_port=port)

    check_ports(settings, [settings.metrics_port])

    serve(CollectorRegistry(), "127.0.0.1", port).close()


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="K2_BIND_HOST"):
        serve(CollectorRegistry(), "192.0.2.1", 0)


def test_a_closed_server_frees_its_port() -> None:
    server = serve(CollectorRegistry(), "127.0.0.1", free_port())
    server.close()

    again = serve(CollectorRegistry(), "127.0.0.1", server.port)

    assert again.port == server.port
    again.close()


def test_an_engine_serves_its_streams_until_it_ends(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path, metrics_port=0)

    with EngineMetrics(settings, [Gold()]) as metrics:
        metrics.started("gold")
        page = httpx.get(f"http://127.0.0.1:{metrics.ports['gold']}/metrics").text

    assert 'k2_stream_running{exchange="all",layer="gold",stream="gold"} 1.0' in page
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{metrics.ports['gold']}/metrics")


def test_one_taken_port_leaves_none_open(tmp_path: Path) -> None:
    class Bronze(Gold):
        name = "bronze-binance"
        layer = Layer.BRONZE

    first = free_row(5)
    settings = Settings.load(home=tmp_path, metrics_port=first)

    with (
        socket.create_server(("127.0.0.1", first + 4)),
        pytest.raises(InUseError),
        EngineMetrics(settings, [Bronze(), Gold()]),
    ):
        pytest.fail("entered without its port")

    serve(CollectorRegistry(), "127.0.0.1", first).close()


def test_a_backlog_of_nothing_is_no_lag(tmp_path: Path) -> None:
    metrics = EngineMetrics(Settings.load(home=tmp_path, metrics_port=0), [Gold()])

    metrics.backlog("gold", 0)
    metrics.balance("gold", "binance", 2)

    assert gauge(metrics["gold"], "k2_lag_seconds") == 0
    assert gauge(metrics["gold"], "k2_balance_difference_records", of_exchange="binance") == 2


def test_a_planned_batch_that_is_not_committed_is_checkpoint_lag(tmp_path: Path) -> None:
    metrics = gold_metrics()
    for name in ("offsets/7", "offsets/8", "offsets/.9.crc", "commits/7"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    now = time.time()
    os.utime(tmp_path / "offsets" / "8", (now - 30, now - 30))

    record_checkpoint(metrics, tmp_path, now)
    waiting = gauge(metrics, "k2_checkpoint_lag_seconds")
    (tmp_path / "commits" / "8").touch()
    record_checkpoint(metrics, tmp_path, now)

    assert waiting == pytest.approx(30, abs=0.1)
    assert gauge(metrics, "k2_checkpoint_lag_seconds") == 0


def test_a_checkpoint_that_is_not_there_has_no_lag(tmp_path: Path) -> None:
    metrics = gold_metrics()

    record_checkpoint(metrics, tmp_path / "nowhere", time.time())

    assert gauge(metrics, "k2_checkpoint_lag_seconds") == 0


def test_a_table_that_grows_is_seen_to_grow(tmp_path: Path) -> None:
    metrics, tables = gold_metrics(), StoredTables(tmp_path)
    assert tables.find("gold_trades") is None

    for _ in range(2):
        write_deltalake(tmp_path / "gold_trades", pa.table({"a": [1]}), mode="append")
        stored = tables.find("gold_trades")
        assert stored is not None
        record_table(metrics, "gold_trades", stored)

    assert gauge(metrics, "k2_table_version", table="gold_trades") == 1
    assert gauge(metrics, "k2_table_files", table="gold_trades") == 2
    assert (gauge(metrics, "k2_table_bytes", table="gold_trades") or 0) > 100


def test_the_machine_has_a_disk_and_cpus(tmp_path: Path) -> None:
    found = machine(tmp_path / "not" / "made" / "yet")

    assert found["k2_disk_size_bytes"] >= found["k2_disk_free_bytes"] > 0
    assert found["k2_host_cpus"] >= 1
    assert 0 <= found["k2_host_memory_usage_ratio"] <= 1

"""What a run lacks is said before anything is started."""

import errno
import socket

import pytest

from k2.local.services import monitoring
from k2.observability.metrics_server import port_of
from tests.support.ports import free_row

pytestmark = pytest.mark.unit


@pytest.fixture
def nothing_starts(monkeypatch):
    def started(*_arguments, **_options):
        pytest.fail("something was started")

    monkeypatch.setattr("k2.cli.local_run.LocalStack.start", started)


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("stream", ["bronze-binance", "gold", "ohlcv"])
def test_a_metrics_port_that_is_taken_ends_the_start(k2, monkeypatch, stream):
    first = free_row(port_of("ohlcv", 1))
    port = port_of(stream, first)
    monkeypatch.setenv("K2_METRICS_PORT", str(first))

    with socket.create_server(("127.0.0.1", port)):
        said = k2("up")

    assert said.code == 2
    assert f"Port {port} for metrics is taken by" in said.err
    assert "K2_METRICS_PORT" in said.err


@pytest.mark.usefixtures("nothing_starts")
def test_monitoring_that_is_not_installed_ends_the_start(k2, monkeypatch):
    monkeypatch.setenv("K2_METRICS_PORT", "0")
    monkeypatch.setattr(monitoring.shutil, "which", lambda _name: None)

    said = k2("up", "--monitoring")

    assert said.code == 2
    assert "Prometheus and Alertmanager are not installed" in said.err
    assert "apt install" in said.err


@pytest.mark.usefixtures("nothing_starts")
def test_a_port_of_prometheus_that_is_taken_ends_the_start(k2, monkeypatch):
    monkeypatch.setenv("K2_METRICS_PORT", "0")
    monkeypatch.setattr(monitoring.shutil, "which", lambda name: f"/usr/bin/{name}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("K2_PROMETHEUS_PORT", str(port))

        said = k2("up", "--monitoring")

    assert said.code == 2
    assert f"Port {port} for Prometheus is taken" in said.err
    assert "K2_PROMETHEUS_PORT" in said.err


def test_a_disk_that_fills_up_while_all_runs_is_a_sentence(k2, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("K2_METRICS_PORT", "0")
    monkeypatch.setattr("k2.cli.local_run.LocalStack.start", full)

    said = k2("up")

    assert said.code == 1
    assert "is full" in said.err
    assert "Traceback" not in said.err


def test_any_other_error_of_the_system_is_not_blamed_on_the_home(k2, monkeypatch):
    def refused(*_arguments, **_options):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setenv("K2_METRICS_PORT", "0")
    monkeypatch.setattr("k2.cli.local_run.LocalStack.start", refused)

    with pytest.raises(ConnectionRefusedError):
        k2("up")

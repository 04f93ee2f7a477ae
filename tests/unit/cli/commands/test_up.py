"""What a run lacks is said before anything is started."""

import errno
import os
import socket

import pytest

from k2.home.paths import HomeLock, prepare_home
from k2.local.services import monitoring
from k2.settings import Settings
from k2.topology import port_of
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

    said = k2("up")

    assert said.code == 1
    assert "Unexpected ConnectionRefusedError: [Errno 111] Connection refused." in said.err
    assert "cannot be used" not in said.err


@pytest.fixture
def planned(monkeypatch):
    """The run that a command asks for, without running it."""
    plans = []

    def plan(_settings, run, console):
        plans.append(run)
        console.print("Starting Kafka …")
        return True

    monkeypatch.setattr("k2.cli.commands.up.supervise", plan)
    return plans


@pytest.mark.parametrize(
    ("arguments", "simulates"),
    [
        ([], True),
        (["--no-streams"], False),
        (["--feed", "none"], False),
        (["--no-streams", "--feed", "simulate"], True),
        (["--no-streams", "--rate", "400/s"], True),
        (["--no-streams", "--contracts", "0.5"], True),
        (["--feed", "none", "--rate", "400/s"], False),
    ],
)
def test_trades_are_simulated_where_streams_take_them_or_if_asked(
    k2, planned, arguments, simulates
):
    said = k2("up", *arguments)

    assert said.code == 0, said.err
    assert [bool(run.feed) for run in planned] == [simulates]


def test_the_simulator_s_shares_are_passed_on(k2, planned):
    k2("up", "--rate", "9/s", "--aggregates", "0.3", "--contracts", "0.2")

    (run,) = planned
    asked = ("simulate", "--rate", "9/s", "--aggregates", "0.3", "--contracts", "0.2")
    assert run.feed == asked


def test_the_feed_counts_a_run_s_time_itself_from_its_first_record(k2, planned):
    k2("up", "--for", "5s")
    k2("up", "--for", "5s", "--feed", "none")

    fed, unfed = planned
    assert fed.feed[-2:] == ("--for", "5s")
    assert (unfed.feed, unfed.seconds) == ((), 5.0)


def test_the_simulator_s_options_do_not_send_to_a_kafka_of_others_by_themselves(
    k2, planned, monkeypatch
):
    monkeypatch.setenv("K2_KAFKA", "broker:9092")

    said = k2("up", "--rate", "400/s")

    assert (said.code, planned) == (2, [])
    assert "add `--feed simulate` to send them there" in said.err


@pytest.mark.parametrize("share", ["-0.1", "1.1", "half"])
def test_what_is_no_share_is_refused_before_anything_starts(k2, planned, share):
    said = k2("up", "--aggregates", share)

    assert said.code == 2
    assert "--aggregates" in said.err
    assert planned == []


@pytest.mark.parametrize(("arguments", "simulates"), [([], False), (["--feed", "simulate"], True)])
def test_a_kafka_of_the_users_own_gets_no_simulated_trades_unless_asked(
    k2, planned, monkeypatch, arguments, simulates
):
    monkeypatch.setenv("K2_KAFKA", "broker:9092")

    k2("up", *arguments)

    assert [bool(run.feed) for run in planned] == [simulates]


def test_a_second_run_is_refused_and_writes_nothing_into_the_first_ones_log(k2, home, monkeypatch):
    monkeypatch.setenv("K2_METRICS_PORT", "0")
    settings = Settings.load()
    prepare_home(settings)
    log = settings.logs / "k2.log"
    log.write_text('{"event": "stream_started"}\n')
    owner = HomeLock(settings)
    owner.acquire()

    detached, attached = k2("up", "--detach"), k2("up", "--feed", "none")
    owner.release()

    for said in (detached, attached):
        assert said.code == 2
        assert f"K2_HOME={home} is in use by a run in progress (process {os.getpid()})" in said.err
        assert "Stopped" not in said.out + said.err
    assert log.read_text() == '{"event": "stream_started"}\n'
    assert not (settings.logs / "k2.out").exists()


def test_a_java_that_is_not_there_is_named_by_the_variable_that_names_it(k2, monkeypatch, tmp_path):
    monkeypatch.setenv("K2_METRICS_PORT", "0")
    monkeypatch.setenv("JAVA_HOME", "/usr")
    monkeypatch.setenv("K2_JAVA_HOME", str(tmp_path / "java"))

    said = k2("up")

    assert said.code == 2
    assert f"K2_JAVA_HOME={tmp_path / 'java'} has no bin/java" in said.err


def test_without_a_terminal_a_run_is_quiet_unless_asked(k2, planned):
    piped, asked = k2("up"), k2("up", "--no-quiet")

    assert piped.out + piped.err == ""
    assert "Starting Kafka" in asked.err


def test_symbols_start_a_live_feed_with_everything_else(k2, planned):
    k2("up", "--symbols", "BTC-USDT")

    assert planned[0].feed[:2] == ("feed", "run")
    assert "BTC-USDT" in planned[0].feed

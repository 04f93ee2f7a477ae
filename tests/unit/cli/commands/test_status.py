"""What ``k2 status`` says of runs that are well, ill or dead, and how it ends."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from k2.home.service_restarts import note_restart
from k2.local.process import ProcessRecord, read_boot
from k2.observability.status import submitted_status_file
from k2.settings import Settings

pytestmark = pytest.mark.unit

STREAM = {
    **{"name": "gold", "layer": "gold", "state": "running", "rows": 1, "rows_per_second": 1.0},
    **{"batch_seconds": 0.1, "lag": 0, "freshness_seconds": 1.0, "dead_letters": {}},
    **{"duplicates": 0, "error": None, "metrics_port": None},
}


@pytest.fixture
def settings(home: Path) -> Settings:
    settings = Settings.load()
    settings.run.mkdir(parents=True)
    return settings


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str | None]]:
    """Both services, up; a test may change their states."""
    states = {
        "kafka": {"state": "up", "address": "127.0.0.1:9"},
        "registry": {"state": "up", "address": "http://127.0.0.1:8"},
    }
    monkeypatch.setattr("k2.cli.commands.status._services", lambda _settings: (states, None))
    return states


def begin_run(settings: Settings, pid: int, **stream: object) -> None:
    started = ProcessRecord.of(pid, "").started if pid == os.getpid() else f"{read_boot()}:1"
    ProcessRecord(pid, started, "").save(settings.run / "owner.json")
    status = {"pid": pid, "written_at": time.time(), "streams": [STREAM | stream]}
    (settings.run / "streams.json").write_text(json.dumps(status))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_all_well_is_checked_with_0(k2, settings, services):
    begin_run(settings, os.getpid())

    assert k2("status", "--check").code == 0
    assert json.loads(k2("status", "--json").out)["problems"] == []


def test_nothing_that_runs_is_checked_with_1_and_shown_with_0(k2, home):
    checked, shown = k2("status", "--check"), k2("status")

    assert (checked.code, shown.code) == (1, 0)
    assert f"Nothing runs on {home}. `k2 up` starts it." in checked.out


def submit(settings: Settings, pid: int, seconds_ago: float = 0, **stream: object) -> None:
    """Note a stream as a job does that was submitted to Spark."""
    changed = STREAM | stream
    file = submitted_status_file(settings, str(changed["name"]))
    file.parent.mkdir(exist_ok=True)
    status = {"pid": pid, "host": "here", "written_at": time.time() - seconds_ago}
    file.write_text(json.dumps(status | {"streams": [changed]}))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k2.observability.status.socket.gethostname", lambda: "here")


@pytest.mark.usefixtures("here", "services")
def test_streams_that_run_as_submitted_jobs_are_shown_in_the_order_of_their_layers(k2, settings):
    for name, layer in (("gold", "gold"), ("bronze-kraken", "bronze"), ("silver-kraken", "silver")):
        submit(settings, os.getpid(), name=name, layer=layer)

    shown = json.loads(k2("status", "--json").out)

    names = [stream["name"] for stream in shown["streams"]]
    assert names == ["bronze-kraken", "silver-kraken", "gold"]
    assert (shown["pid"], shown["problems"]) == (None, [])
    assert k2("status", "--check").code == 0
    assert "No streams run here" not in k2("status").out


@pytest.mark.usefixtures("here", "services")
def test_a_submitted_job_that_failed_is_a_problem(k2, settings):
    submit(settings, os.getpid(), state="failed", error="The disk is full.")

    said = k2("status", "--check")

    assert said.code == 1
    assert "Stream gold is failed: The disk is full." in said.out


@pytest.mark.usefixtures("here", "services")
def test_a_submitted_job_that_was_killed_is_not_shown(k2, settings, dead_pid):
    submit(settings, dead_pid)

    assert json.loads(k2("status", "--json").out)["streams"] == []
    assert k2("status", "--check").code == 1


@pytest.mark.usefixtures("services")
def test_of_a_job_on_another_host_the_age_of_its_status_tells(k2, settings, dead_pid):
    submit(settings, dead_pid, name="gold")
    submit(settings, dead_pid, seconds_ago=120, name="ohlcv")

    (stream,) = json.loads(k2("status", "--json").out)["streams"]

    assert stream["name"] == "gold"


@pytest.mark.usefixtures("here", "services")
def test_streams_of_a_run_and_of_jobs_are_shown_once_each(k2, settings):
    begin_run(settings, os.getpid())
    submit(settings, os.getpid(), state="stopped")
    submit(settings, os.getpid(), name="ohlcv")

    found = json.loads(k2("status", "--json").out)

    assert [(s["name"], s["state"]) for s in found["streams"]] == [
        ("gold", "running"),
        ("ohlcv", "running"),
    ]
    assert found["pid"] == os.getpid()


@pytest.mark.parametrize("state", ["failed", "retrying"])
def test_a_stream_that_does_not_run_is_checked_with_1(k2, settings, services, state):
    begin_run(settings, os.getpid(), state=state, error="The disk is full.")

    said = k2("status", "--check")

    assert said.code == 1
    assert f"Stream gold is {state}: The disk is full." in said.out


def test_a_service_that_does_not_answer_is_checked_with_3(k2, settings, services):
    begin_run(settings, os.getpid())
    services["kafka"]["state"] = "no answer"

    said = k2("status", "--check")

    assert said.code == 3
    assert "kafka does not answer at 127.0.0.1:9" in said.out


def test_of_a_killed_run_it_says_what_happened_and_what_to_do(k2, settings, dead_pid):
    begin_run(settings, dead_pid)

    said = k2("status", "--check")

    assert said.code == 1
    assert f"The run (process {dead_pid}), last seen at" in said.out
    assert "was killed" in said.out
    assert "`k2 up` goes on where it ended" in said.out


def test_of_a_run_before_the_machines_restart_it_says_that(k2, settings, dead_pid, monkeypatch):
    begin_run(settings, dead_pid)
    monkeypatch.setattr("k2.local.process.read_boot", lambda: "another boot")

    assert "ended when this machine was restarted" in k2("status").out


def test_a_service_that_was_started_again_has_a_line_that_says_so(k2, settings, services):
    begin_run(settings, os.getpid())
    note_restart(settings, "kafka", -9)

    said = k2("status")

    assert "was started again once" in said.out
    assert "after signal 9" in said.out
    assert json.loads(k2("status", "--json").out)["services"]["kafka"]["restarts"]["count"] == 1


def test_watching_is_not_checking(k2):
    assert k2("status", "--watch", "--check").code == 2

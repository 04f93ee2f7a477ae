"""``k2 jobs``: what a person sees of jobs, and the exit codes."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from k2.cli.job_client import run_to_end
from k2.cli.options import parse_param, since_ms_of
from k2.errors import ConfigError
from k2.jobs import kinds
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.model import Job
from k2.jobs.registry import Registry
from k2.settings import Settings
from tests.support.home import wait_until
from tests.support.jobs import COUNT, noted, wait_until_running, worker

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the kind whose steps a test can choose."""
    monkeypatch.setattr(kinds, "KINDS", JobKinds([*kinds.KINDS, COUNT]))


def test_a_job_without_a_service_runs_here_and_is_on_record(k2: Callable[..., object]) -> None:
    done = k2("jobs", "submit", "count", "--param", "steps=2", "--json")
    job = json.loads(done.out)

    shown = k2("jobs", "show", job["id"])
    listed = json.loads(k2("jobs", "list", "--state", "completed", "--since", "1h", "--json").out)
    logs = k2("jobs", "logs", job["id"])

    assert done.code == 0
    assert (job["state"], job["report"]["totals"]["ok"]) == ("completed", 2)
    assert "2 of 2" in shown.out
    assert [one["id"] for one in listed] == [job["id"]]
    assert [line.split()[2] for line in logs.out.splitlines()] == [
        *("queued", "started", "progress", "progress", "completed")
    ]


@pytest.mark.parametrize(
    ("params", "code", "sentence"),
    [
        (["fails_at=1"], 1, "step 1 cannot be done"),
        (["fails_at=1", "may_fail=true"], 4, "1 of 3 steps failed: count 1"),
        (["steps=0"], 1, "found nothing to do"),
        (["stesp=1"], 2, "did you mean steps?"),
        (["steps"], 2, "write --param name=value"),
    ],
)
def test_a_job_that_fails_ends_the_command_with_its_exit_code(
    k2: Callable[..., object], params: list[str], code: int, sentence: str
) -> None:
    options = [part for param in params for part in ("--param", param)]

    said = k2("jobs", "submit", "count", *options)

    assert said.code == code
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_a_detached_job_waits_for_a_service_and_can_be_steered(k2: Callable[..., object]) -> None:
    said = k2("jobs", "submit", "count", "--detach", "--key", "once")
    job_id = re.match(r"(\S+) is queued\. It runs once `k2 serve`", said.out)[1]

    again = k2("jobs", "submit", "count", "--detach", "--key", "once")
    steered = [
        k2("jobs", request, job_id) for request in ("pause", "resume", "cancel", "cancel", "watch")
    ]

    assert again.out.startswith(job_id)
    assert [one.code for one in steered] == [0, 0, 0, 2, 1]
    assert f"{job_id} is paused." in steered[0].out
    assert f"{job_id} is cancelled." in steered[2].out
    assert "cannot be cancelled" in steered[3].err


def test_watching_what_nobody_runs_is_said(k2: Callable[..., object]) -> None:
    job_id = k2("jobs", "submit", "count", "--detach").out.split()[0]

    said = k2("jobs", "watch", job_id)

    assert said.code == 2
    assert "nobody runs it" in said.err


def test_without_jobs_nothing_is_made(k2: Callable[..., object], home: Path) -> None:
    listed, shown = k2("jobs", "list"), k2("jobs", "show", "count-1")

    assert listed.out == "There are no such jobs.\n"
    assert (shown.code, "There are no jobs in K2_HOME" in shown.err) == (2, True)
    assert not home.exists()


def test_kinds_are_listed_with_their_parameters(k2: Callable[..., object]) -> None:
    found = json.loads(k2("jobs", "kinds", "--json").out)

    assert {"maintain", "dlq-replay", "replay", "drain"} <= {kind["kind"] for kind in found}
    assert all(kind["summary"] for kind in found)


def test_a_value_is_json_where_it_is_some_and_text_elsewhere() -> None:
    assert parse_param("files=[1]") == ("files", [1])
    assert parse_param("exchange=binance") == ("exchange", "binance")
    assert parse_param("reason=a=b") == ("reason", "a=b")


def test_a_time_is_an_instant_or_a_duration_ago() -> None:
    assert since_ms_of("2026-11-27T14:00:00Z") == 1795788000000
    assert since_ms_of("2026-11-27T14:00:00") == 1795788000000
    assert since_ms_of("1h") - since_ms_of("2h") == pytest.approx(3_600_000, abs=100)
    with pytest.raises(ConfigError, match="'noon' is no time"):
        since_ms_of("noon")


def test_a_job_whose_runner_ends_is_run_on_by_who_waits_for_it(home: Path, tmp_path: Path) -> None:
    settings, ledger = Settings.load(home=home), tmp_path / "ledger"
    params = {"steps": 6, "seconds": 0.2, "ledger": str(ledger)}
    found: list[Job] = []

    def submit(registry: Registry) -> Job:
        return registry.submit("count", params).job

    with worker(home) as other:
        wait_until_running(other)
        waiting = threading.Thread(target=lambda: found.append(run_to_end(settings, submit)))
        waiting.start()
        wait_until(lambda: len(noted(ledger)) >= 2, 60)
    waiting.join(60)

    assert str(found[0].state) == "completed"
    assert len(noted(ledger)) == 6

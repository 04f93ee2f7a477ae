"""``k2 alerts`` and ``k2 open``: what runs is asked, and what does not run is said."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from k2.local import addresses
from k2.local.alerts import runbook_page

pytestmark = pytest.mark.unit

RUNBOOKS = Path(__file__).parents[4] / "docs" / "runbooks"


def alert(name: str, severity: str, state: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {
            "summary": f"{name} of [gold]",
            "description": "It is so.",
            "runbook_url": f"docs/runbooks/{name}.md",
        },
        "state": state,
        "activeAt": "2026-07-07T09:00:00.123456789Z",
        "value": "1e+00",
    }


WATCHDOG = alert("Watchdog", "none")


@contextmanager
def answering(pages: dict[str, bytes]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def firing(home: Path) -> Iterator[Callable[..., None]]:
    """A Prometheus of the run, which has these alerts."""
    pages: dict[str, bytes] = {"/alerts": b"here"}
    with answering(pages) as url:
        (home / "run").mkdir(parents=True)
        noted = {"prometheus": url, "alertmanager": url}
        (home / "run" / "monitoring.json").write_text(json.dumps(noted))

        def fire(*alerts: dict[str, Any]) -> None:
            pages["/api/v1/alerts"] = json.dumps({"data": {"alerts": alerts}}).encode()

        yield fire


def test_what_fires_is_shown_with_its_runbook_the_worst_first(k2, firing):
    firing(
        WATCHDOG,
        alert("DiskFilling", "warning"),
        alert("JobStalled", "critical", "pending"),
        alert("BalanceBroken", "critical", exchange="kraken"),
    )

    said = k2("alerts")

    assert said.code == 0
    heads = [line for line in said.out.splitlines() if " since " in line]
    assert [line.split()[1] for line in heads] == ["BalanceBroken", "DiskFilling", "JobStalled"]
    assert "fires since 2026-07-07 09:00:00 UTC: BalanceBroken of [gold]" in heads[0]
    assert f"runbook: {RUNBOOKS / 'BalanceBroken.md'}" in said.out
    assert "Watchdog" not in said.out


def test_nothing_that_fires_is_said_and_is_well(k2, firing):
    firing(WATCHDOG, alert("JobStalled", "critical", "pending"))

    assert k2("alerts", "--check").code == 0
    firing(WATCHDOG)
    assert k2("alerts").out == "No alert fires.\n"


def test_an_alert_that_fires_is_checked_with_1(k2, firing):
    firing(WATCHDOG, alert("DiskFilling", "warning"))

    assert k2("alerts", "--check").code == 1


def test_a_silent_watchdog_is_said(k2, firing):
    firing()

    assert "Watchdog, which fires always, does not" in k2("alerts").out


def test_json_has_all_of_them(k2, firing):
    firing(WATCHDOG, alert("BalanceBroken", "critical", exchange="kraken"))

    found = json.loads(k2("alerts", "--json").out)["alerts"]

    assert [each["name"] for each in found] == ["BalanceBroken", "Watchdog"]
    assert found[0]["labels"] == {"exchange": "kraken"}


def test_without_prometheus_nothing_is_evaluated_and_that_is_said(k2, home):
    said = k2("alerts")

    assert said.code == 3
    assert said.out == ""
    assert "no alert is evaluated" in said.err
    assert "`k2 up --monitoring`" in said.err


def test_a_prometheus_that_is_gone_is_named(k2, firing):
    said = k2("alerts", "--prometheus", "http://127.0.0.1:1")

    assert said.code == 3
    assert "Prometheus at http://127.0.0.1:1 does not answer" in said.err


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"data":{"alerts":[{}]}}', b"null"])
def test_something_else_that_answers_is_told_from_a_prometheus(k2, home, answer):
    with answering({"/api/v1/alerts": answer}) as url:
        said = k2("alerts", "--prometheus", url)

    assert said.code == 3
    assert said.err == f"k2: What answers at {url} is no Prometheus.\n"


def test_a_page_that_is_not_on_this_machine_is_its_address():
    assert runbook_page("https://ops.example/X.md") == "https://ops.example/X.md"


def test_every_alert_that_ships_has_a_page_here():
    rules = (RUNBOOKS.parents[1] / "monitoring/prometheus/rules/alerts.yml").read_text()
    named = {line.split()[-1] for line in rules.splitlines() if "runbook_url:" in line}

    assert named
    assert all(Path(runbook_page(name)).is_file() for name in named)


def test_open_lists_every_page_and_how_to_get_those_that_are_not_there(k2, firing):
    said = k2("open")

    assert said.code == 0
    for name in ("ui", "dashboards", "alerts", "api", "docs"):
        assert f"\n{name} " in said.out
    assert "`k2 up` starts them" in said.out


@pytest.mark.parametrize("classic", [True, False])
def test_open_prints_the_alerts_page_that_this_prometheus_has(k2, home, classic):
    path = "/classic/alerts" if classic else "/alerts"
    with answering({path: b"here"}) as url:
        (home / "run").mkdir(parents=True)
        noted = {"prometheus": url, "alertmanager": url}
        (home / "run" / "monitoring.json").write_text(json.dumps(noted))
        said = k2("open", "alerts")

    assert (said.code, said.out) == (0, f"{url}{path}\n")


def test_open_of_what_does_not_run_says_what_starts_it(k2):
    said = k2("open", "ui")

    assert said.code == 3
    assert "`k2 up` starts them" in said.err


def test_open_of_a_page_that_there_is_not_guesses(k2):
    assert "Did you mean dashboards?" in k2("open", "dashboard").err


def test_the_documentation_is_the_built_site_or_else_the_documents(tmp_path):
    docs, site = tmp_path / "docs", tmp_path / "site"
    before = addresses.documentation(docs)
    site.mkdir()
    (site / "index.html").touch()

    assert before == (docs / "README.md").as_uri()
    assert addresses.documentation(docs) == (site / "index.html").as_uri()


def test_the_documentation_of_this_checkout_is_there(k2):
    assert Path(k2("open", "docs").out.strip().removeprefix("file://")).is_file()

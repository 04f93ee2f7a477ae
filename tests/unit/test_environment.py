"""Variables that were meant for other programs."""

import os
import subprocess
import sys

import httpx
import pytest

from k2.environment import inherited, shield

pytestmark = pytest.mark.unit

PROXY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "intern.example, localhost"}, "intern.example,localhost,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*,localhost,127.0.0.1,::1"),
    ],
)
def test_no_proxy_is_asked_for_this_machine(given, wanted):
    environment = {"HTTP_PROXY": PROXY, **given}

    shield(environment)
    shield(environment)

    assert environment["NO_PROXY"] == environment["no_proxy"] == wanted
    assert environment["HTTP_PROXY"] == PROXY


def test_a_client_of_the_registry_asks_this_machine_itself(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, PROXY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    shield(inherited())

    with httpx.Client() as client:
        transports = [
            client._transport_for_url(httpx.URL(f"http://{host}:8081"))
            for host in ("127.0.0.1", "localhost", "[::1]")
        ]
        elsewhere = client._transport_for_url(httpx.URL("http://registry.example"))

    assert transports == [client._transport] * 3
    assert elsewhere is not client._transport


def test_metrics_of_a_web_servers_workers_are_not_ours(tmp_path):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "not-there")}
    code = (
        "import sys; sys.argv = ['k2', 'status', '--json']\n"
        "from k2.cli.app import main\n"
        "try: main()\n"
        "finally: import k2.observability.metrics as m; from prometheus_client import values; "
        "print(values.ValueClass.__name__, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "K2_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr.split()) == (0, ["MutexValue"])

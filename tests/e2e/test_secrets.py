"""A run that logs in with planted secrets: they are in no process list, log, plan, metric or page."""

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from k2.settings import Settings
from tests.support.home import K2Home, wait_until
from tests.support.secure_kafka import PASSWORD, SecureKafka, login_settings, secure_kafka
from tests.support.token_endpoint import CLIENT, SECRET

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

PAGES = ("", "/environment/", "/SQL/", "/StreamingQuery/", "/jobs/", "/stages/", "/executors/")
ANSWERS = ("environment", "sql?details=true&planDescription=true", "jobs", "stages?details=true")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure") / "kafka", Settings.load()) as broker:
        yield broker


@pytest.mark.parametrize("kind", ["SCRAM", "OAUTH"])
def test_a_run_fills_gold_and_tells_its_secrets_to_nobody(
    broker: SecureKafka, home: K2Home, tmp_path: Path, kind: str
) -> None:
    settings = login_settings(broker, kind, tmp_path)
    home.environment |= {f"K2_{name.upper()}": str(value) for name, value in settings.items()}
    home.environment["K2_LOG_LEVEL"] = "debug"

    home.run("up", "--detach", "--feed", "simulate", "--rate", "200/s")
    wait_until(lambda: home.rows("gold_trades") > 500, why=home.output.read_text)
    texts = everything_shown(home)
    home.run("down")
    texts |= {str(path): path.read_bytes() for path in files_of(home)}

    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    secrets = [PASSWORD, SECRET, basic, *broker.tokens.given]
    shown = {(name, s) for name, text in texts.items() for s in secrets if s.encode() in text}
    assert shown == set()
    assert len(texts) > 50


def everything_shown(home: K2Home) -> dict[str, bytes]:
    """What a run shows: process list, commands, metrics, and Spark's UI with its plans."""
    commands = {f"process {p.pid}": " ".join(p.cmdline()).encode() for p in home.processes()}
    status = home.json("status")
    said = {
        "status": home.run("status"),
        "doctor": home.run_raw("doctor", "--deep").stdout,
        "balance": home.run("balance"),
    }
    addresses = [f"{status['spark_ui']}{page}" for page in PAGES]
    api = f"{status['spark_ui']}/api/v1/applications"
    (application,) = httpx.get(api, timeout=60).json()
    addresses += [f"{api}/{application['id']}/{answer}" for answer in ANSWERS]
    addresses += [
        f"http://127.0.0.1:{stream['metrics_port']}/metrics" for stream in status["streams"]
    ]
    pages = {url: httpx.get(url, follow_redirects=True, timeout=60).content for url in addresses}
    return commands | pages | {name: text.encode() for name, text in said.items()}


def files_of(home: K2Home) -> Iterator[Path]:
    """All that a run leaves but the files that only its owner reads."""
    for path in home.folder.rglob("*"):
        if path.is_file() and path.parent.name != "secrets":
            yield path

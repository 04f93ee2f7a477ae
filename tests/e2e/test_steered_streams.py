"""A stream paused by the API stands still, over a restart too, and loses nothing; its owner does jobs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.home import K2Home, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

UP = ("up", "--feed", "simulate", "--rate", "50/s", "--for", "10m")
SILVER = "silver_binance_trades"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    found = K2Home(tmp_path / "home", K2_SERVICE="true", K2_QUALITY_SCHEDULE="false")
    yield found
    found.run_raw("down")
    found.kill_all()


def post(home: K2Home, what: str) -> Any:
    url = json.loads((home.folder / "run" / "api.json").read_text())["url"]
    answer = httpx.post(f"{url}/v1/streams/silver-binance/{what}", timeout=60)
    assert answer.status_code < 300, answer.text
    return answer.json()


def state(home: K2Home) -> str:
    streams = json.loads((home.folder / "run" / "streams.json").read_text())["streams"]
    return next(s["state"] for s in streams if s["name"] == "silver-binance")


def test_a_paused_stream_stands_still_over_a_restart_and_misses_nothing(home: K2Home) -> None:
    first = home.start(*UP)
    wait_until((home.folder / "run" / "api.json").exists, 300)
    wait_until(lambda: home.rows("gold_trades") > 0, 300)

    paused = post(home, "pause")
    stood_at = home.rows(SILVER)
    bronze = home.rows("bronze_binance_trades")
    wait_until(lambda: home.rows("bronze_binance_trades") > bronze + 20, 120)
    stood_still = home.rows(SILVER) == stood_at
    maintained = home.json("jobs", "submit", "maintain")
    refused = home.run("drain", code=2)
    home.run("down")
    first.wait(120)

    second = home.start(*UP)
    (home.folder / "run" / "api.json").unlink(missing_ok=True)
    wait_until((home.folder / "run" / "api.json").exists, 300)
    bronze = home.rows("bronze_binance_trades")
    wait_until(lambda: home.rows("bronze_binance_trades") > bronze, 300)
    after_restart = (state(home), home.rows(SILVER))
    post(home, "resume")
    wait_until(lambda: home.rows(SILVER) > stood_at, 300)
    restarted = post(home, "restart")
    wait_until(lambda: state(home) == "running", 300)
    home.run("down")
    second.wait(120)

    assert (paused["stands_still"], paused["state"]) == (True, "paused")
    assert stood_still
    assert maintained["state"] == "completed"
    assert "Somebody has paused silver-binance" in refused
    assert after_restart == ("paused", stood_at)
    assert restarted["restarts"] == 1
    assert home.rows("gold_trades") > 0

"""Streams by way of the API: what is wanted of them is kept, and a pause says when it has come true."""

import os
import threading
import time
from collections.abc import Callable

import orjson
import pytest
from starlette.testclient import TestClient

from k2.home.atomic_files import replace_whole
from k2.home.locks import exclusive
from k2.jobs.engine import JobEngine
from k2.jobs.stream_wishes import StreamWishes
from k2.settings import Settings


def note(settings: Settings, state: str) -> None:
    """Write what the streams of a run write."""
    settings.run.mkdir(parents=True, exist_ok=True)
    stream = {"name": "gold", "state": state, "layer": "gold", "exchange": None}
    status = {"pid": os.getpid(), "written_at": time.time(), "streams": [stream]}
    replace_whole(settings.run / "streams.json", orjson.dumps(status))


def test_a_stream_that_does_not_run_stands_still_at_once_and_is_paused_when_it_starts(
    client: TestClient, engine: JobEngine
) -> None:
    answer = client.post("/v1/streams/silver-binance/pause")

    assert answer.status_code == 200
    assert answer.json() == {
        **{"stream": "silver-binance", "wish": "pause", "restarts": 0},
        **{"state": None, "stands_still": True},
    }
    assert StreamWishes(engine.database).all()["silver-binance"].is_paused


def test_a_pause_answers_when_the_stream_stands_still(
    client: TestClient, engine: JobEngine
) -> None:
    settings = engine.settings
    note(settings, "running")
    later = threading.Timer(0.5, note, (settings, "paused"))

    with exclusive(settings.run / "locks", ["gold-v1"], "a stream"):
        later.start()
        answer = client.post("/v1/streams/gold/pause")
        later.join()

    assert (answer.status_code, answer.json()["state"]) == (200, "paused")


def test_a_pause_that_takes_long_says_that_it_is_not_there_yet(
    client_of: Callable[..., TestClient], engine: JobEngine
) -> None:
    settings = engine.settings
    note(settings, "running")

    with exclusive(settings.run / "locks", ["gold-v1"], "a stream"):
        answer = client_of(api_timeout_seconds=2.0).post("/v1/streams/gold/pause")

    assert (answer.status_code, answer.json()["stands_still"]) == (202, False)


def test_resume_and_restart_let_it_run(client: TestClient) -> None:
    client.post("/v1/streams/ohlcv/pause")

    restarted = client.post("/v1/streams/ohlcv/restart").json()
    client.post("/v1/streams/ohlcv/pause")
    resumed = client.post("/v1/streams/ohlcv/resume").json()

    assert (restarted["wish"], restarted["restarts"]) == ("run", 1)
    assert (resumed["wish"], resumed["restarts"]) == ("run", 1)


@pytest.mark.parametrize("what", ["pause", "resume", "restart"])
def test_a_stream_that_does_not_exist_is_named_with_the_near_one(
    client: TestClient, what: str
) -> None:
    answer = client.post(f"/v1/streams/silver-binanse/{what}")

    assert answer.status_code == 404
    assert "Did you mean silver-binance?" in answer.json()["error"]

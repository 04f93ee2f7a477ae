"""Ten steps from an empty home: health, a job by command, seen by the API, its events, cancel, resume."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer

from k2.feeds.recordings import Recording
from tests.support.home import K2Home, wait_until
from tests.support.recordings import richest_files

pytestmark = pytest.mark.e2e

MESSAGES = 100


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    found = K2Home(tmp_path / "home", K2_SERVICE="true")
    yield found
    found.run_raw("down")
    found.kill_all()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The first hundred messages of a recording."""
    (source,) = richest_files("binance/spot-btc-eth*")
    lines = [line.message for line in islice(Recording(source), MESSAGES)]
    file = tmp_path / "hundred.jsonl"
    file.write_bytes(b"\n".join(line for line in lines if line) + b"\n")
    return file


def events_of(kafka: str, job_id: str, last: str) -> list[str]:
    """The events about a job in the topic, up to its last one."""
    found: list[str] = []
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["k2.events"])
    try:

        def ended() -> bool:
            message = consumer.poll(0.5)
            if message is not None and not message.error():
                headers = dict(message.headers() or [])
                if headers.get("ce_subject", b"").decode() == job_id:
                    found.append(headers["ce_type"].decode().removeprefix("io.k2.job."))
            return last in found

        wait_until(ended, 60)
    finally:
        consumer.close()
    return found


def test_a_job_from_its_command_to_its_events(home: K2Home, recording: Path) -> None:
    home.run("up", "--feed", "none", "--detach")
    # 1 health
    note = home.folder / "run" / "api.json"
    wait_until(note.exists, 120)
    with httpx.Client(base_url=json.loads(note.read_text())["url"], timeout=30) as api:
        wait_until(lambda: api.get("/ready").status_code == 200, 60)
        assert api.get("/health").json() == {"status": "ok"}

        # 2 submit by command
        done = home.json(
            *("jobs", "submit", "replay", "--param", "exchange=binance"),
            *("--param", f"files={json.dumps([str(recording)])}"),
            *("--param", "progress_interval=10"),
        )
        job_id = done["id"]

        # 3 seen by the API, 4 progress, 5 output
        shown = api.get(f"/v1/jobs/{job_id}").json()
        assert (shown["state"], shown["steps_done"], shown["rows_done"]) == ("completed", 10, 100)
        (counts,) = shown["result"]["files"]
        assert counts["trades"] + counts["other"] + counts["rejected"] >= 100
        home.run("drain", "--timeout", "300s")
        assert home.rows("gold_trades") > 0

        # 6 each step is on record
        assert shown["report"]["totals"] == {"ok": 10, "warned": 0, "failed": 0}

        # 7 its events: after the wait one start, ten steps, one end
        endpoints = json.loads((home.folder / "run" / "endpoints.json").read_text())
        events = events_of(endpoints["kafka"], job_id, "completed")
        assert events == ["queued", "started", *["progress"] * 10, "completed"]

        # 8 metrics
        assert 'k2_jobs{kind="replay",state="completed"} 1.0' in api.get("/metrics").text

        # 9 cancel, 10 resume
        slow = api.post(
            "/v1/jobs", json={"kind": "simulate", "params": {"records": 400, "rate": 20}}
        ).json()["id"]
        wait_until(lambda: api.get(f"/v1/jobs/{slow}/status").json()["steps_done"] >= 1, 60)
        api.post(f"/v1/jobs/{slow}/pause")
        wait_until(lambda: api.get(f"/v1/jobs/{slow}/status").json()["state"] == "paused", 30)
        api.post(f"/v1/jobs/{slow}/resume")
        before = api.get(f"/v1/jobs/{slow}/status").json()["steps_done"]
        wait_until(lambda: api.get(f"/v1/jobs/{slow}/status").json()["steps_done"] > before, 60)
        api.post(f"/v1/jobs/{slow}/cancel")
        wait_until(lambda: api.get(f"/v1/jobs/{slow}/status").json()["state"] == "cancelled", 30)
    home.run("down")
    home.require_nothing_left()

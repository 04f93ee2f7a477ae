"""The status of streams, for people and programs."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from k2.observability.status import StreamStatus, freshness, read_status, running, write_status

pytestmark = pytest.mark.unit


@pytest.fixture
def status():
    return StreamStatus("silver-kraken", "silver", "kraken")


def test_rows_and_batches_are_counted(status):
    status.took(10, {}, now=0.0)
    status.took(0, {}, now=1.0)
    status.took(5, {}, now=2.0)

    assert (status.rows, status.batches) == (15, 3)


def test_the_rate_is_of_the_last_ten_seconds(status):
    status.took(1_000, {}, now=0.0)
    status.took(30, {}, now=5.0)
    status.took(20, {}, now=14.0)

    status.refresh(now=15.0)

    assert status.rows_per_second == 5.0
    status.refresh(now=25.1)
    assert status.rows_per_second == 0.0


def test_freshness_is_the_age_of_the_oldest_row():
    age = freshness(datetime.now(UTC) - timedelta(seconds=90))

    assert 90 <= age < 95
    assert freshness(None) is None


def test_a_status_is_read_as_it_was_written(tmp_path, status):
    path = tmp_path / "streams.json"
    status.took(3, {}, now=0.0)

    write_status(path, [status], {"feed": "simulate"})

    found = read_status(path)
    assert found["pid"] == os.getpid()
    assert found["feed"] == "simulate"
    (stream,) = found["streams"]
    assert stream["name"] == "silver-kraken"
    assert stream["rows"] == 3
    assert not [name for name in stream if name.startswith("_")]
    assert [file.name for file in tmp_path.iterdir()] == ["streams.json"]


def test_dead_letters_are_told_by_kind(tmp_path, status):
    path = tmp_path / "streams.json"
    status.took(2, {"decode": 2}, now=0.0)
    status.took(6, {"decode": 1, "rule": 5}, now=1.0)

    write_status(path, [status], {})

    (stream,) = json.loads(path.read_bytes())["streams"]
    assert stream["dead_letters"] == {"decode": 3, "rule": 5}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff"])
def test_a_status_that_cannot_be_read_is_none(tmp_path, content):
    path = tmp_path / "streams.json"
    if content is not None:
        path.write_bytes(content)

    assert read_status(path) is None


def test_a_run_that_has_ended_and_that_nobody_has_asked_about_does_not_run(settings, status):
    settings.run.mkdir(parents=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    write_status(settings.run / "streams.json", [status], {})
    written = json.loads((settings.run / "streams.json").read_text())
    (settings.run / "streams.json").write_text(json.dumps(written | {"pid": ended.pid}))

    found = running(settings)
    ended.wait()

    assert found["streams"] == []

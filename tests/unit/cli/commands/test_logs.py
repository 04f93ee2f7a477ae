"""``k2 logs``: the events that are asked for, by time, and nothing that could write to a terminal."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

NOW = datetime.now(UTC)


def event(minutes_ago: float, level: str, name: str, **fields: object) -> str:
    time = (NOW - timedelta(minutes=minutes_ago)).isoformat().replace("+00:00", "Z")
    return json.dumps({"time": time, "level": level, "event": name, **fields}) + "\n"


@pytest.fixture
def logs(home: Path) -> Path:
    folder = home / "logs"
    folder.mkdir(parents=True)
    (folder / "k2.log").write_text(
        event(90, "info", "batch_written", job_name="gold", rows=5)
        + event(40, "warning", "stream_retries", job_name="silver-kraken", reason="no broker")
        + event(10, "error", "stream_failed", job_name="gold", reason="disk", exception="E:\n  x")
    )
    (folder / "feed.log").write_text(event(50, "info", "sent", records=7))
    (folder / "kafka.log").write_text("[2026-07-07] INFO started\n[2026-07-07] WARN slow\n")
    return folder


def test_events_of_k2_and_the_feed_are_shown_by_time(k2, logs):
    said = k2("logs")

    assert said.code == 0
    events = ["batch_written", "sent", "stream_retries", "stream_failed"]
    assert [next(e for e in events if e in line) for line in said.out.splitlines()[:4]] == events
    assert 'reason="no broker"' in said.out
    assert "rows=5" in said.out
    assert said.out.endswith("    E:\n      x\n")  # the traceback, below its event


def test_errors_are_warnings_and_worse(k2, logs):
    said = k2("logs", "--errors", "--json")

    assert [json.loads(line)["event"] for line in said.out.splitlines()] == [
        "stream_retries",
        "stream_failed",
    ]


def test_a_stream_and_a_time_narrow_it_down(k2, logs):
    of_gold = k2("logs", "--stream", "gold", "--json").out.splitlines()
    newest = k2("logs", "--stream", "gold", "--since", "1h", "--json").out.splitlines()

    assert [json.loads(line)["event"] for line in of_gold] == ["batch_written", "stream_failed"]
    assert [json.loads(line)["event"] for line in newest] == ["stream_failed"]


def test_the_newest_lines_are_shown(k2, logs):
    assert "stream_failed" in k2("logs", "--lines", "1").out
    assert "stream_retries" not in k2("logs", "--lines", "1").out


def test_another_log_is_shown_as_it_is(k2, logs):
    assert k2("logs", "kafka").out == "[2026-07-07] INFO started\n[2026-07-07] WARN slow\n"


def test_json_is_json_alone(k2, logs):
    with (logs / "feed.log").open("a") as log:
        log.write("Sent 5 records.\n")

    said = k2("logs", "--json")

    assert len([json.loads(line) for line in said.out.splitlines()]) == 4
    assert "1 lines have no fields" in said.err


def test_lines_without_fields_that_a_condition_leaves_out_are_counted(k2, logs):
    said = k2("logs", "kafka", "--errors")

    assert (said.code, said.out) == (0, "")
    assert "2 lines have no fields" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stream", "silver-kraker"], "Did you mean silver-kraken?"),
        (["kafk"], "Did you mean kafka?"),
        (["--since", "yesterday"], "'yesterday' is no time"),
    ],
)
def test_what_is_not_there_is_a_sentence_with_a_guess(k2, logs, arguments, sentence):
    said = k2("logs", *arguments)

    assert said.code == 2
    assert sentence in said.err


def test_a_home_without_logs_says_what_writes_them(k2, home):
    said = k2("logs")

    assert said.code == 2
    assert "`k2 up` writes one" in said.err
    assert not home.exists()


def test_no_value_of_a_log_can_write_to_the_terminal(k2, logs):
    (logs / "k2.log").write_text(
        event(1, "error", "x\x1b]0;owned\x07", job_name="\x1b[2J", reason="[red]a[/red]\x1b[1m")
    )
    (logs / "feed.log").write_text("\x1b[2Jraw\n")

    said = k2("logs")

    assert said.code == 0
    assert "\x1b" not in said.out
    assert "[red]a[/red]" in said.out


def test_followed_events_come_as_they_are_written_and_ctrl_c_is_no_error(logs, home):
    process = subprocess.Popen(
        [sys.executable, "-m", "k2", "logs", "--follow", "--lines", "1", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={"K2_HOME": str(home), "PATH": ""},
    )
    assert process.stdout is not None
    try:
        before = json.loads(process.stdout.readline())  # once it is there, all else is new
        with (logs / "k2.log").open("a") as log:
            log.write(event(0, "info", "new"))
        after = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)

        assert (before["event"], after["event"]) == ("stream_failed", "new")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()

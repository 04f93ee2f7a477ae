"""Logs are read back by time, followed where the last look ended, and survive being emptied."""

from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from k2.observability.log_lines import LogReader

pytestmark = pytest.mark.unit


def event(time: str, name: str) -> str:
    return f'{{"time":"2026-07-07T09:00:{time}Z","level":"info","event":"{name}"}}\n'


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def names(lines):
    return [line.fields.get("event", line.text) for line in lines]


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    return [tmp_path / "k2.log", tmp_path / "feed.log"]


def test_events_of_several_logs_are_in_the_order_of_time(logs):
    logs[0].write_text(event("01", "a") + event("05", "d"))
    logs[1].write_text(event("02", "b") + event("03", "c"))

    assert names(LogReader(logs).read()) == ["a", "b", "c", "d"]


def test_a_line_without_fields_stays_behind_the_line_before_it(logs):
    logs[0].write_text(event("01", "a") + "Traceback (most recent call last):\n" + event("05", "d"))
    logs[1].write_text(event("03", "c"))

    found = list(LogReader(logs).read())

    assert names(found) == ["a", "Traceback (most recent call last):", "c", "d"]
    assert found[1].fields == {}


def test_what_was_moved_aside_comes_first(logs):
    logs[0].with_name("k2.log.1").write_text(event("01", "old"))
    logs[0].write_text(event("02", "new"))

    found = list(LogReader(logs).read())

    assert names(found) == ["old", "new"]
    assert [line.log for line in found] == ["k2", "k2"]


@pytest.mark.parametrize("rubbish", [b"{", b"\xff\xfe", b'{"time":', b"[1,2]", b"{}", b""])
def test_rubbish_in_a_log_is_a_line_like_any_other(logs, rubbish):
    logs[0].write_bytes(rubbish + b"\n" + event("01", "a").encode())

    assert names(LogReader(logs).read())[-1] == "a"


def test_a_follower_sees_each_new_line_once_and_a_half_one_when_it_is_whole(logs):
    logs[0].write_text(event("01", "a"))
    reader = LogReader(logs)
    read = names(reader.read())
    later = iter(
        [
            partial(append, logs[0], event("02", "b") + event("03", "c")[:9]),
            partial(append, logs[0], event("03", "c")[9:]),
            partial(append, logs[1], event("04", "of a log that was not there")),
        ]
    )

    followed = names(islice(reader.follow(wait=lambda _seconds: next(later)()), 3))

    assert read == ["a"]
    assert followed == ["b", "c", "of a log that was not there"]


def test_a_follower_goes_on_with_a_log_that_was_emptied(logs):
    logs[0].write_text(event("01", "a") + event("02", "b"))
    reader = LogReader(logs)
    list(reader.read())

    followed = reader.follow(wait=lambda _seconds: logs[0].write_text(event("03", "c")))

    assert names(islice(followed, 1)) == ["c"]

"""Logs that a service writes for weeks stay small, and their writers need not know."""

import pytest

from k2.home.log_files import limit_logs

pytestmark = pytest.mark.unit


def test_a_log_that_has_grown_large_begins_again_and_its_writer_goes_on(tmp_path):
    log = tmp_path / "kafka.log"
    (tmp_path / "kafka.log.1").write_text("of last week")
    with log.open("a") as writer:
        writer.write("x" * 1_000)
        writer.flush()

        assert limit_logs(tmp_path, 999) == [log]
        writer.write("after")
        writer.flush()

    assert log.read_text() == "after"
    assert (tmp_path / "kafka.log.1").read_text() == "x" * 1_000


def test_a_small_log_and_other_files_are_left_alone(tmp_path):
    for name in ("small.log", "large.txt", "large.log.1"):
        (tmp_path / name).write_text("x" * (10 if name == "small.log" else 1_000))

    assert limit_logs(tmp_path, 999) == []

    assert {path.name for path in tmp_path.iterdir()} == {"small.log", "large.txt", "large.log.1"}


def test_a_folder_that_is_not_there_has_no_logs(tmp_path):
    assert limit_logs(tmp_path / "logs") == []

"""Ending children, one's own and those that a killed run left, with real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from k2.home.paths import prepare_home
from k2.local.orphans import clean_orphans, find_orphans
from k2.local.process import ChildProcess, ProcessRecord
from k2.settings import Settings

pytestmark = pytest.mark.integration

MARKER = "-Dk2.kafka=/a/home"
WAITING = "import threading; print('up', flush=True); threading.Event().wait()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITING}"


@pytest.fixture
def left() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with the marker that nobody stops, as elsewhere than on Linux after a kill."""
    command = [sys.executable, "-c", WAITING, MARKER]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def start(code: str, folder: Path) -> ChildProcess:
    child = ChildProcess.start(
        [sys.executable, "-u", "-c", code, MARKER],
        folder=folder,
        log=folder / "child.log",
        marker=MARKER,
    )
    while not (folder / "child.log").read_text():
        assert child.alive
    return child


def test_what_a_killed_run_left_is_ended_and_forgotten(
    settings: Settings, left: "subprocess.Popen[bytes]"
) -> None:
    prepare_home(settings)
    ProcessRecord.of(left.pid, MARKER).save(settings.run / "kafka.json")
    assert find_orphans(settings) == [f"kafka (process {left.pid})"]

    ended = clean_orphans(settings)

    assert ended == [f"kafka (process {left.pid})"]
    assert not psutil.pid_exists(left.pid)
    assert os.listdir(settings.run) == ["up.lock"]


def test_another_program_under_a_recorded_number_lives_on(
    settings: Settings, left: "subprocess.Popen[bytes]"
) -> None:
    prepare_home(settings)
    ProcessRecord.of(left.pid, "-Dk2.kafka=/b/home").save(settings.run / "kafka.json")

    ended = clean_orphans(settings)

    assert ended == []
    assert left.poll() is None


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    child = start(STUBBORN, tmp_path)

    child.stop(0.2)

    assert child.exit_code == -9


def test_a_child_does_not_get_the_terminals_interrupt(tmp_path: Path) -> None:
    child = start(WAITING, tmp_path)

    group = os.getpgid(child.record.pid)

    assert group == child.record.pid != os.getpgid(0)
    child.kill()


def test_the_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    (tmp_path / "child.log").write_text("why it died\n")

    child = start(WAITING, tmp_path)

    assert (tmp_path / "child.log.1").read_text() == "why it died\n"
    child.kill()

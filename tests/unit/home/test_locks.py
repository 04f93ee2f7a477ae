"""Locks: one holder, named to the others, and free once it is gone."""

import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

from k2.errors import ConfigError, InUseError
from k2.home.locks import exclusive, is_held

pytestmark = pytest.mark.unit

HOLDER = """
import sys, threading
from pathlib import Path
from k2.home.locks import exclusive
with exclusive(Path(sys.argv[1]), sys.argv[2:], "stream gold"):
    print("held", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "locks"


@pytest.fixture
def holder(folder):
    started = []

    def start(*names):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), *names], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


def held_by_us(folder, *names):
    with exclusive(folder, names, "maintenance"):
        return True


def test_a_second_process_is_told_what_is_held_and_by_whom(folder, holder):
    process = holder("gold_trades")

    with pytest.raises(InUseError) as refused:
        held_by_us(folder, "gold_trades")

    assert str(refused.value) == (
        f"gold_trades is in use by stream gold (process {process.pid}, -c). Stop that first."
    )
    assert refused.value.exit_code == 2
    assert not refused.value.retryable


def test_a_killed_holder_holds_nothing(folder, holder):
    process = holder("gold_trades")
    process.kill()
    process.wait(10)

    assert not is_held(folder, "gold_trades")
    assert held_by_us(folder, "gold_trades")


def test_a_lock_is_free_after_its_block_even_when_that_fails(folder):
    def fail_while_holding():
        with exclusive(folder, ["a"], "x"):
            raise ZeroDivisionError(is_held(folder, "a"))

    with pytest.raises(ZeroDivisionError, match="True"):
        fail_while_holding()

    assert not is_held(folder, "a")
    assert held_by_us(folder, "a")


def test_one_that_is_refused_holds_none_of_the_others(folder, holder):
    holder("b")

    with pytest.raises(InUseError, match=r"^b is in use"):
        held_by_us(folder, "a", "b", "c")

    assert not is_held(folder, "a")
    assert not is_held(folder, "c")


def test_another_name_is_another_lock(folder, holder):
    holder("a")

    assert held_by_us(folder, "b")


def test_a_second_holder_in_the_same_process_is_refused_too(folder):
    with (
        exclusive(folder, ["a"], "stream gold"),
        pytest.raises(InUseError, match=f"process {os.getpid()}"),
    ):
        held_by_us(folder, "a")


def test_a_lock_that_was_never_taken_is_not_held(folder):
    assert not is_held(folder, "a")


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"\xff\xfe",
        b'{"pid": 1}',
        b"[]",
    ],
)
def test_a_holder_that_cannot_be_read_is_another_process(folder, holder, left):
    holder("a")
    (folder / "a.lock").write_bytes(left)

    with pytest.raises(InUseError, match="a is in use by another process"):
        held_by_us(folder, "a")


def test_a_folder_that_cannot_be_written_is_a_setting_to_change(tmp_path):
    (tmp_path / "run").write_text("a file")

    with pytest.raises(ConfigError, match="Set K2_HOME elsewhere"):
        held_by_us(tmp_path / "run" / "locks", "a")


def test_whoever_looks_at_a_lock_meanwhile_stops_nobody_from_taking_it(folder):
    held_by_us(folder, "a")
    looks = threading.Event()

    def look_slowly():
        with (folder / "a.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # as is_held does
            looks.set()
            time.sleep(0.06)

    looker = threading.Thread(target=look_slowly)
    looker.start()
    looks.wait()

    assert held_by_us(folder, "a")
    looker.join()

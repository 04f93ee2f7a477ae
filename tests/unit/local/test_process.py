"""Records of processes: a number is believed only with its start time and its marker."""

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from k2.home.atomic_files import replace_whole
from k2.local.process import ProcessRecord, child_environment, stop_recorded

pytestmark = pytest.mark.unit


@pytest.fixture
def own() -> ProcessRecord:
    """The test's own process, marked with an argument that it really has."""
    return ProcessRecord.of(os.getpid(), psutil.Process().cmdline()[-1])


def test_a_live_process_is_found(own: ProcessRecord) -> None:
    process = own.process()

    assert process
    assert process.pid == os.getpid()


def test_a_number_that_another_process_got_is_left_alone(own: ProcessRecord) -> None:
    earlier = replace(own, started=own.started + "0")

    assert earlier.process() is None
    assert stop_recorded(earlier, 1) is False


def test_a_process_without_the_marker_is_left_alone(own: ProcessRecord) -> None:
    other = replace(own, marker="-Dk2.kafka=/another/home")

    assert other.process() is None
    assert stop_recorded(other, 1) is False


def test_a_part_of_an_argument_is_no_marker(own: ProcessRecord) -> None:
    assert replace(own, marker=own.marker[:-1]).process() is None


@pytest.mark.parametrize("seconds", [-3600, -60, 60, 3600])
def test_a_clock_that_was_set_does_not_hide_a_process(
    own: ProcessRecord, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Linux works out the time of the boot from the clock, and psutil that of a start from the boot.
    booted, started = psutil.boot_time(), psutil.Process(own.pid).create_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + seconds)
    moved = psutil.Process(own.pid).create_time()

    process = own.process()

    assert process
    assert process.is_running()
    assert moved - started == pytest.approx(seconds, abs=2)


def test_a_record_of_the_boot_before_is_not_believed(own: ProcessRecord) -> None:
    _, _, ticks = own.started.partition(":")

    assert replace(own, started=f"another-boot:{ticks}").process() is None


def test_a_process_that_is_gone_is_not_found(own: ProcessRecord) -> None:
    assert replace(own, pid=2**22 + 1).process() is None


def test_a_record_reads_as_it_was_saved(own: ProcessRecord, tmp_path: Path) -> None:
    own.save(tmp_path / "it.json")

    assert ProcessRecord.load(tmp_path / "it.json") == own


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "x", "started": "1"}', "null"])
def test_a_broken_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.json").write_text(text)

    assert ProcessRecord.load(tmp_path / "it.json") is None


def test_a_missing_record_is_none(tmp_path: Path) -> None:
    assert ProcessRecord.load(tmp_path / "it.json") is None


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "it"
    file.write_text("old")

    replace_whole(file, b"new")

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"it": "new"}


def test_a_service_inherits_where_libraries_are_and_nothing_else() -> None:
    users = {"LD_LIBRARY_PATH": "/opt/python/lib", "JAVA_TOOL_OPTIONS": "-Xmx1m", "LANG": "C"}

    assert child_environment(users) == {"LANG": "C.UTF-8", "LD_LIBRARY_PATH": "/opt/python/lib"}

"""A full disk is a named failure, and with room again everything goes on."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from tests.support.finished_home import finish, rows
from tests.support.home import PATIENCE, K2Home, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, str], None]]:
    """Mount a small disk on a folder; needs to be root."""
    with ExitStack() as mounted:

        def mount(folder: Path, size: str) -> None:
            folder.mkdir(parents=True)
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
            mounted.callback(subprocess.run, ["umount", "--lazy", folder], check=True)

        yield mount


def test_a_drain_onto_a_full_disk_fails_by_name_and_the_next_one_goes_on(
    home: K2Home, small_disk: Callable[[Path, str], None]
) -> None:
    small_disk(home.folder / "lake", "8m")
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    home.run("simulate", "--rate", "max", "--count", 2_000)
    filler = home.folder / "lake" / "filler"
    fill(filler)

    said = home.run("drain", code=1)

    assert "disk" in said
    assert "full" in said
    filler.unlink()
    finish(home)


def test_a_run_that_fills_its_disk_fails_by_name_and_with_room_goes_on(
    home: K2Home, small_disk: Callable[[Path, str], None]
) -> None:
    small_disk(home.folder, "48m")

    said = home.run("up", "--rate", "3000/s", "--for", "10m", code=1)

    assert "full" in said
    home.require_nothing_left()
    subprocess.run(["mount", "-o", "remount,size=1g", home.folder], check=True)
    finish(home)
    assert rows(home, "gold_trades") > 0


def test_a_disk_that_is_full_for_a_moment_ends_no_feed(
    home: K2Home, small_disk: Callable[[Path, str], None]
) -> None:
    # Only where the feed keeps its state: a Kafka without room refuses records for good.
    small_disk(home.folder / "run", "1m")
    run = home.start("up", "--no-streams", "--feed", "simulate", "--rate", "400/s")
    wait_until(lambda: records_sent(home) > 400, why=home.output.read_text)

    filler = home.folder / "run" / "filler"
    fill(filler)
    wait_until(
        lambda: "disk_full" in (home.folder / "logs" / "feed.log").read_text(),
        why=home.output.read_text,
    )
    filler.unlink()

    sent = records_sent(home)
    wait_until(lambda: records_sent(home) > sent + 2_000, why=home.output.read_text)
    run.send_signal(signal.SIGINT)
    assert run.wait(PATIENCE) == 0, home.output.read_text()
    home.require_nothing_left()
    finish(home)


def test_a_start_on_a_full_disk_is_refused_by_name(
    home: K2Home, small_disk: Callable[[Path, str], None]
) -> None:
    small_disk(home.folder, "1m")
    fill(home.folder / "filler")

    said = home.run("up", "--feed", "none", code=1)
    detached = home.run("up", "--feed", "none", "--detach", code=1)

    for refusal in (said, detached):
        assert f"K2_HOME={home.folder} is full" in refusal
    assert home.processes() == []


def records_sent(home: K2Home) -> int:
    try:
        return int(json.loads((home.folder / "run" / "feed.json").read_text())["sent"])
    except FileNotFoundError:
        return 0


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        write_forever(file)


def write_forever(file: IO[bytes]) -> None:
    while True:
        file.write(b"\0" * 4096)

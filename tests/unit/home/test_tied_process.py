"""A command of K2 as a process of this one: how it is started, and that it ends with us."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from k2.home.tied_process import start_tied
from k2.settings import Settings
from tests.support.home import wait_until

pytestmark = pytest.mark.unit


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what runs in K2's place."""
    folder = tmp_path / "stand-in" / "k2" / "cli"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"))
    return folder / "app.py"


def start(settings: Settings, output: Path, niceness: int = 0) -> "subprocess.Popen[bytes]":
    with output.open("wb") as file:
        return start_tied(settings, ["a", "b"], file, niceness=niceness)


@pytest.mark.parametrize("niceness", [0, 7])
def test_it_leaves_the_machine_to_others_from_its_first_line_on(
    settings: Settings, program: Path, tmp_path: Path, niceness: int
) -> None:
    program.write_text(
        "import os, sys\ndef main(): print(os.getpriority(os.PRIO_PROCESS, 0), sys.argv[1:])"
    )
    ours = os.getpriority(os.PRIO_PROCESS, 0)

    with start(settings, tmp_path / "output", niceness) as child:
        assert child.wait(30) == 0

    assert (tmp_path / "output").read_text() == f"{min(ours + niceness, 19)} ['a', 'b']\n"


def test_it_ends_when_nobody_holds_its_input(
    settings: Settings, program: Path, tmp_path: Path
) -> None:
    program.write_text("import time\ndef main(): time.sleep(60)")
    child = start(settings, tmp_path / "output")
    assert child.stdin is not None

    child.stdin.close()

    assert child.wait(30) != 0


def test_it_can_be_interrupted_though_we_were_started_to_ignore_that(
    settings: Settings, program: Path, tmp_path: Path
) -> None:
    program.write_text("import time\ndef main(): print('here', flush=True); time.sleep(60)")
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script's background has it
    try:
        child = start(settings, tmp_path / "output")
    finally:
        signal.signal(signal.SIGINT, ours)
    with child:
        wait_until(lambda: "here" in (tmp_path / "output").read_text())
        child.send_signal(signal.SIGINT)
        child.wait(30)

    assert "KeyboardInterrupt" in (tmp_path / "output").read_text()

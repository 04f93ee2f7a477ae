"""A command's lines come while it runs; it ends with the job, and its exit code is the job's error."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import psutil
import pytest

from k2.errors import ConfigError, FailedError, UnavailableError
from k2.jobs.job_run import JobRun, StandStill
from k2.jobs.kinds import command
from k2.jobs.kinds.command import printed_lines
from k2.jobs.model import Wish

SOON = 30.0


class Run:
    """A job's run, which somebody may want to stop."""

    def __init__(self) -> None:
        self.settings, self.stopping, self.is_paused = SimpleNamespace(), threading.Event(), False

    def checkpoint(self) -> None:
        if self.is_paused:
            raise StandStill(Wish.PAUSE)


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """The processes that were started; the arguments are a program and not k2's.

    As k2's they can be interrupted, wherever these tests run.
    """
    ready = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    started: list[subprocess.Popen[bytes]] = []

    def start(
        _settings: object,
        arguments: list[str],
        output: IO[bytes],
        errors: IO[bytes],
        *,
        niceness: int,
    ) -> "subprocess.Popen[bytes]":
        started.append(
            subprocess.Popen(
                ["nice", "-n", str(niceness), sys.executable, "-uc", ready + arguments[0]],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                process_group=0,
            )
        )
        return started[-1]

    monkeypatch.setattr(command, "start_tied", start)
    return started


def lines_of(run: Run, program: str, **options: Any) -> Iterator[bytes]:
    return printed_lines(cast("JobRun", run), [program], **options)


def test_a_line_comes_before_the_command_ends(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    lines = lines_of(run, "print('one'); input()")

    first = next(lines)
    is_running = children[0].poll() is None
    cast("IO[bytes]", children[0].stdin).write(b"\n")
    cast("IO[bytes]", children[0].stdin).flush()

    assert (first, is_running, list(lines)) == (b"one", True, [])


def test_half_a_line_waits_for_its_other_half_or_for_the_end(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    program = (
        "import sys, time\n"
        "sys.stdout.write('on'); time.sleep(0.6)\n"
        "sys.stdout.write('e\\n\\ntwo\\nthr'); time.sleep(0.6)\n"
        "sys.stdout.write('ee')"
    )

    assert list(lines_of(run, program)) == [b"one", b"", b"two", b"three"]


def test_a_line_of_a_megabyte_comes_whole(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    (line,) = lines_of(run, "print('x' * 1_000_000)")

    assert len(line) == 1_000_000


@pytest.mark.parametrize(
    ("code", "error"), [(1, FailedError), (2, ConfigError), (3, UnavailableError)]
)
def test_a_command_that_fails_has_the_error_of_its_exit_code_and_its_own_words(
    run: Run, children: list["subprocess.Popen[bytes]"], code: int, error: type[Exception]
) -> None:
    program = f"import sys; print('k2: Kafka is away.', file=sys.stderr); sys.exit({code})"

    with pytest.raises(error, match=r"^Kafka is away\.$"):
        list(lines_of(run, program))


def test_a_command_that_is_killed_fails_and_what_it_said_before_is_kept(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    lines = lines_of(run, "print('one'); import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    assert next(lines) == b"one"
    with pytest.raises(FailedError, match="it ended with -9"):
        next(lines)


def test_an_exit_code_that_is_an_answer_is_no_failure(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    program = "print('violated'); raise SystemExit(1)"

    assert list(lines_of(run, program, answers=(0, 1))) == [b"violated"]


def test_a_paused_job_ends_its_command_as_by_ctrl_c(
    run: Run, children: list["subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    program = (
        "import pathlib, time\n"
        "print('one')\n"
        "try:\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        f"    pathlib.Path({str(ended)!r}).touch()"
    )
    lines = lines_of(run, program)
    next(lines)

    run.is_paused = True
    with pytest.raises(StandStill):
        next(lines)

    assert ended.exists()
    assert children[0].poll() is not None


def test_a_command_whose_lines_nobody_wants_any_more_is_ended(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    lines = cast("Any", lines_of(run, "print('one'); import time; time.sleep(60)"))
    next(lines)
    began = time.monotonic()

    lines.close()

    assert not psutil.pid_exists(children[0].pid)
    assert time.monotonic() - began < SOON


def test_a_command_that_does_not_hear_ctrl_c_is_killed(
    run: Run, children: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_END_SECONDS", 0.2)
    program = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('one')\n"
        "time.sleep(60)"
    )
    lines = cast("Any", lines_of(run, program))
    next(lines)

    lines.close()

    assert children[0].returncode == -signal.SIGKILL


def test_a_nice_command_leaves_the_machine_to_others(
    run: Run, children: list["subprocess.Popen[bytes]"]
) -> None:
    program = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
    ours = os.getpriority(os.PRIO_PROCESS, 0)

    (niceness,) = lines_of(run, program, niceness=10)

    assert niceness == b"%d" % min(ours + 10, 19)

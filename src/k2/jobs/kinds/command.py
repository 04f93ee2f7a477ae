"""Steps that are a command of K2 in a process of its own: its Spark, or its memory, goes with it."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress

from k2.errors import ConfigError, FailedError, K2Error, UnavailableError, first_line
from k2.home.tied_process import start_tied
from k2.jobs.job_run import JobRun, StandStill
from k2.retry import RetryPolicy

ONCE = RetryPolicy(attempts=1)  # of a command that has tried for as long as it may
_LOOK_SECONDS = 0.25
_END_SECONDS = 30.0


def run_command(
    run: JobRun, arguments: Sequence[str], *, answers: Collection[int] = (0,), niceness: int = 0
) -> bytes:
    """Run a command of K2 to its end and return what it printed.

    An exit code among ``answers`` is an answer where the command printed one. With ``niceness`` it
    leaves the machine to others.

    Raises:
        StandStill: somebody wants the job to stop; the command has ended as by Ctrl-C.
        K2Error: it failed; its class follows the exit code.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = start_tied(run.settings, arguments, output, errors)
        if niceness:
            with suppress(OSError):  # it has ended already
                os.setpriority(os.PRIO_PROCESS, child.pid, niceness)
        try:
            while child.poll() is None:
                run.checkpoint()
                run.stopping.wait(_LOOK_SECONDS)
        except StandStill:
            _interrupt(child)
            raise
        finally:
            if child.stdin is not None:
                child.stdin.close()
        output.seek(0)
        errors.seek(0)
        printed = output.read()
        if child.returncode not in answers or not printed:
            raise _error_of(child.returncode, errors.read().decode(errors="replace"))
        return printed


def _interrupt(child: "subprocess.Popen[bytes]") -> None:
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _error_of(code: int, said: str) -> K2Error:
    kinds: dict[int, type[K2Error]] = {2: ConfigError, 3: UnavailableError}
    text = said.rpartition("k2: ")[2] or said or f"it ended with {code} and printed nothing"
    return kinds.get(code, FailedError)(first_line(text, 1_000))

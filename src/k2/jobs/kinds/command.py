"""Steps that are a command of K2 in a process of its own: its Spark, or its memory, goes with it."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Collection, Generator, Sequence

from k2.errors import ConfigError, FailedError, K2Error, UnavailableError, first_line
from k2.home.tied_process import start_tied
from k2.jobs.job_run import JobRun
from k2.retry import RetryPolicy

ONCE = RetryPolicy(attempts=1)  # of a command that has tried for as long as it may
_LOOK_SECONDS = 0.25
_END_SECONDS = 30.0
_PART_BYTES = 1 << 16


def printed_lines(
    run: JobRun, arguments: Sequence[str], *, answers: Collection[int] = (0,), niceness: int = 0
) -> Generator[bytes]:
    """Run a command of K2 and yield each line that it prints, soon after it does.

    Exit codes among ``answers`` are no failures. With ``niceness`` it leaves the machine to others. It ends
    as by Ctrl-C when nobody wants more lines.

    Raises:
        StandStill: somebody wants the job to stop; the command has ended as by Ctrl-C.
        K2Error: it failed; its class follows the exit code.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = start_tied(run.settings, arguments, output, errors, niceness=niceness)
        lines = _Lines(output.fileno())
        try:
            while child.poll() is None:
                run.checkpoint()
                yield from lines.new()
                run.stopping.wait(_LOOK_SECONDS)
            yield from lines.new()
        finally:
            if child.poll() is None:
                _interrupt(child)
            if child.stdin is not None:
                child.stdin.close()
        if child.returncode not in answers:
            errors.seek(0)
            raise _error_of(child.returncode, errors.read().decode(errors="replace"))
        if lines.rest:
            yield lines.rest


class _Lines:
    """Whole lines of a file that another process writes. Its position, which both share, stays."""

    def __init__(self, file: int) -> None:
        self._file, self._read, self.rest = file, 0, b""

    def new(self) -> list[bytes]:
        while part := os.pread(self._file, _PART_BYTES, self._read):
            self._read += len(part)
            self.rest += part
        *whole, self.rest = self.rest.split(b"\n")
        return whole


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

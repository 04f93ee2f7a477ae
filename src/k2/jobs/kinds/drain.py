"""``drain``: every stream once, until Gold and its bars have all that is in Kafka."""

import os
import signal
import subprocess
import tempfile
from typing import Any

import orjson
from pydantic import Field

from k2.errors import ConfigError, FailedError, K2Error, UnavailableError, first_line
from k2.home.tied_process import start_tied
from k2.jobs.job_run import JobRun, StandStill
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.model import StepResult

_LOOK_SECONDS = 0.25
_END_SECONDS = 30.0


class DrainParams(JobParams):
    """How long it may take."""

    timeout_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Give up after so long; what is done stays."
    )


def run_drain(run: JobRun, params: DrainParams) -> dict[str, Any]:
    """Run `k2 drain` as a process of its own, which has a Spark that the service has not."""

    def drain() -> StepResult:
        arguments = ["drain", "--timeout", f"{params.timeout_seconds:g}s", "--json"]
        found = orjson.loads(run_command(run, arguments))
        return StepResult(rows=1, data=found)

    return dict(run.step("drain", drain).data)


def run_command(run: JobRun, arguments: list[str]) -> bytes:
    """Run a command of K2 to its end and return what it printed.

    Raises:
        StandStill: somebody wants the job to stop; the command has ended as by Ctrl-C.
        K2Error: it failed; its class follows the exit code.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = start_tied(run.settings, arguments, output, errors)
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
        if child.returncode:
            raise _error_of(child.returncode, errors.read().decode(errors="replace"), arguments[0])
        return output.read()


def _interrupt(child: "subprocess.Popen[bytes]") -> None:
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _error_of(code: int, said: str, command: str) -> K2Error:
    kinds: dict[int, type[K2Error]] = {2: ConfigError, 3: UnavailableError}
    text = said.rpartition("k2: ")[2] or said
    return kinds.get(code, FailedError)(f"k2 {command}: {first_line(text)}")


DRAIN = JobKind(
    "drain",
    "Run every stream once, until Gold and its bars have all that is in Kafka.",
    DrainParams,
    run_drain,
)

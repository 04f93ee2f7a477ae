"""The steps of a command as steps of a job.

The command prints ``{"step": name, "rows": rows}`` at the end of each step but the last, and then
``{"result": …}``, which is the last step's. Begun again after a crash it may pass over steps that it finds
done, and repeat others; the job records each once, in the order of ``steps``.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from k2.errors import FailedError
from k2.jobs.job_run import JobRun
from k2.jobs.kinds.command import ONCE, printed_lines
from k2.jobs.model import StepResult


def run_command_in_steps(
    run: JobRun, arguments: Sequence[str], steps: Sequence[str]
) -> dict[str, Any]:
    """Run a command of K2 in a process that takes its memory with it; return its result.

    Raises:
        StandStill: somebody wants the job to stop; the command has ended as by Ctrl-C.
        K2Error: the command failed; its class follows the exit code.
    """
    command = _Command(run, arguments, steps)
    try:
        for name in steps[:-1]:

            def passed(name: str = name) -> StepResult:
                return StepResult(command.rows_of(name))

            run.step(name, passed, policy=ONCE)
        return dict(
            run.step(steps[-1], lambda: StepResult(data=command.result()), policy=ONCE).data
        )
    finally:
        command.end()


class _Command:
    def __init__(self, run: JobRun, arguments: Sequence[str], steps: Sequence[str]) -> None:
        self._command, self._steps = arguments[0], list(steps)
        self._printed = printed_lines(run, arguments)  # which begins with the first line wanted
        self._last: dict[str, Any] = {}

    def rows_of(self, name: str) -> int:
        """Wait for the end of a step, and return its rows; 0 for one that was passed over."""
        while True:
            line = self._last or self._next()
            place = self._place(line)
            self._last = line if place > self._steps.index(name) else {}
            if self._last:
                return 0
            if place == self._steps.index(name):
                return int(line["rows"])

    def result(self) -> dict[str, Any]:
        """Wait for the end of the command, and return what it found."""
        while "result" not in self._last:
            self._last = self._next()
        for _ in self._printed:  # it fails where the command does at its very end
            pass
        return dict(self._last["result"])

    def end(self) -> None:
        """End the command, if it runs."""
        self._printed.close()

    def _next(self) -> dict[str, Any]:
        try:
            return dict(orjson.loads(next(self._printed)))
        except StopIteration as error:
            raise FailedError(f"`k2 {self._command}` ended without a result.") from error

    def _place(self, line: dict[str, Any]) -> int:
        return self._steps.index(line["step"]) if "step" in line else len(self._steps)

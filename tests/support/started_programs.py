"""Programs of a test in the place of K2's own processes."""

import subprocess
import sys


class Started:
    """Stands for ``start_tied``: each start is a process that runs a program; ``stdout`` is as of `Popen`."""

    def __init__(self, *programs: str, stdout: int | None = None) -> None:
        self.programs, self.stdout = list(programs), stdout
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self, *_: object) -> "subprocess.Popen[bytes]":
        """Start the next program."""
        command = [sys.executable, "-c", self.programs.pop(0)]
        self.processes.append(subprocess.Popen(command, stdout=self.stdout))
        return self.processes[-1]

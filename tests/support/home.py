"""A K2_HOME of a test's own, driven with the ``k2`` command as a person drives it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

K2 = Path(sys.executable).with_name("k2")
PATIENCE = 600.0  # seconds; the machine may be busy with other tests
GONE_SECONDS = 30.0  # after which a killed run must have left nothing


class K2Home:
    """Runs commands on one home, and knows the processes that belong to it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.patience = PATIENCE
        self.environment = {
            **os.environ,
            "K2_HOME": str(folder),
            # Free ones: tests run beside each other.
            "K2_UI_PORT": "0",
            "K2_METRICS_PORT": "0",
            "K2_DRIVER_MEMORY": "768m",
            "K2_API_PORT": "0",
            # Memory for a further process, which only the tests of jobs want.
            "K2_SERVICE": "false",
            **settings,
        }

    def run(self, *arguments: object, code: int | tuple[int, ...] = 0, **settings: str) -> str:
        """Run a command to its end, with this exit code or one of them; return what it said on both outputs."""
        done = self.run_raw(*arguments, **settings)
        said = done.stdout + done.stderr
        codes = code if isinstance(code, tuple) else (code,)
        assert done.returncode in codes, f"k2 {arguments} ended with {done.returncode}:\n{said}"
        assert "Traceback" not in said, said
        return said

    def run_raw(self, *arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [K2, *map(str, arguments)],
            env=self.environment | settings,
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            timeout=self.patience,
            check=False,
        )

    def json(self, *arguments: object, code: int = 0) -> Any:
        """Run a command with ``--json``; return what it printed."""
        done = self.run_raw(*arguments, "--json")
        assert (
            done.returncode == code
        ), f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def start(self, *arguments: object, **settings: str) -> "subprocess.Popen[bytes]":
        """Start a command in a session of its own; its output goes to ``k2.out`` beside the home."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [K2, *map(str, arguments)],
                env=self.environment | settings,
                cwd=self.folder.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> Path:
        """Where started commands write."""
        return self.folder.with_name("k2.out")

    def processes(self) -> list[psutil.Process]:
        """Every live process of this home, whoever its parent is."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def record(self, service: str) -> psutil.Process:
        """The process of a service."""
        noted = json.loads((self.folder / "run" / f"{service}.json").read_text())
        return psutil.Process(noted["pid"])

    def require_nothing_left(self) -> None:
        """Fail when a process of this home lives on for more than 30 s."""
        wait_until(
            lambda: not self.processes(),
            GONE_SECONDS,
            lambda: f"still there: {[' '.join(p.cmdline())[:200] for p in self.processes()]}",
        )

    def kill_all(self) -> None:
        """SIGKILL for every process of this home."""
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return next((t["rows"] for t in self.json("tables") if t["table"] == table), 0)

    def _is_ours(self, process: psutil.Process) -> bool:
        home = str(self.folder)
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get("K2_HOME") == home:
                return True
            return any(part.endswith(f"={home}") for part in process.cmdline())
        except psutil.Error:
            return False


def wait_until(
    condition: Callable[[], Any], seconds: float = PATIENCE, why: Callable[[], str] = lambda: ""
) -> Any:
    """Return the condition's value once it is true; fail when the time is up."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s. {why()}"
        time.sleep(0.1)
    return value


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    """A K2_HOME of the test's own; whatever still runs on it in the end is killed."""
    home = K2Home(tmp_path / "home")
    yield home
    home.kill_all()

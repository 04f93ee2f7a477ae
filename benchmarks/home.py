"""A K2 home to measure in, driven through the ``k2`` command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.varied import STANDARD, Variant
from k2.storage.delta_log import log_folder


class Home:
    """One K2_HOME; ``options`` are settings without their ``K2_``.

    ``variant`` changes what no setting does (:mod:`benchmarks.varied`).
    """

    def __init__(self, folder: Path, variant: Variant = STANDARD, **options: str) -> None:
        self.folder = folder
        self._program = "k2" if variant == STANDARD else "benchmarks.varied"
        settings = {f"K2_{name.upper()}": value for name, value in options.items()}
        self.environment = {
            **os.environ,
            "K2_HOME": str(folder),
            "K2_LOG_LEVEL": "warning",
            "K2_UI_PORT": "0",
            **settings,
            **variant.environment(),
        }

    def k2(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed."""
        command = [sys.executable, "-m", "k2", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"k2 {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def spawn(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command and leave it running."""
        command = [sys.executable, "-m", self._program, *arguments]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet)

    def owner(self) -> int:
        """Return the process id of the detached run."""
        return int(json.loads((self.folder / "run" / "owner.json").read_text())["pid"])

    def kafka(self) -> str:
        """Return the bootstrap servers of the running stack."""
        return self.endpoints()["kafka"]

    def endpoints(self) -> dict[str, str]:
        """Return the addresses of the running stack."""
        noted: dict[str, str] = json.loads((self.folder / "run" / "endpoints.json").read_text())
        return noted

    def streams(self) -> list[dict[str, Any]]:
        """Return the streams' status; empty before there is one."""
        try:
            status = json.loads((self.folder / "run" / "streams.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return []
        return list(status["streams"])

    def gold_log(self) -> list[Path]:
        """Return Gold's commits, oldest first."""
        return sorted(log_folder(self.folder / "lake" / "gold_trades").glob("*[0-9].json"))

    def require_balance(self) -> dict[str, Any]:
        """Return the balance.

        Raises:
            RuntimeError: it does not hold, so that the run has no figures.
        """
        account: dict[str, Any] = json.loads(self.k2("balance", "--json"))
        return account


@contextmanager
def new_home(variant: Variant = STANDARD, **options: str) -> Iterator[Home]:
    """A home in a temporary folder; whatever runs on it is stopped and it is removed."""
    folder = Path(tempfile.mkdtemp(prefix="k2-bench-"))
    home = Home(folder, variant, **options)
    try:
        yield home
    finally:
        home.k2("down")
        shutil.rmtree(folder, ignore_errors=True)

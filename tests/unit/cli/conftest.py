"""The command line without processes: ``k2(...)`` gives exit code and both outputs."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from k2.cli import app


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """K2_HOME of the test's own, not made yet."""
    monkeypatch.setenv("K2_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def k2(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the ``k2`` command in this process."""

    def run(*arguments: object) -> Said:
        code = app.run(app._app, [str(argument) for argument in arguments], "k2")
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run

"""The wheel, installed in an environment of its own, is all of K2: no file of the checkout is needed."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.documents import ROOT

UV = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".make/uv/bin"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(UV is None, reason="uv, which builds the wheel, is not installed"),
]

Run = Callable[..., subprocess.CompletedProcess[str]]


def uv(*arguments: object) -> str:
    assert UV is not None
    done = subprocess.run(
        [UV, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", folder)
    (found,) = folder.glob("k2-*.whl")
    return found


@pytest.fixture(scope="module")
def bin_(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, with the locked packages."""
    folder = tmp_path_factory.mktemp("installed")
    locked = folder / "locked.txt"
    locked.write_text(uv("export", "--locked", "--no-dev", "--no-emit-project", "--no-hashes"))
    uv("venv", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", python, "--constraint", locked, wheel)
    return python.parent


@pytest.fixture
def k2(bin_: Path, tmp_path: Path) -> Run:
    """Run a program of the environment in an empty folder."""
    ports = ("METRICS", "UI", "API", "FEED_METRICS")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str, program: str = "k2") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(bin_ / program), *arguments],
            cwd=tmp_path,
            env={
                **kept,
                "K2_HOME": str(tmp_path / "home"),
                "PATH": f"{bin_}:{os.environ['PATH']}",
                **{f"K2_{port}_PORT": "0" for port in ports},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_has_code_and_what_it_reads_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {
        "k2",
        wheel.name.split("-py3")[0] + ".dist-info",
    }
    assert not [name for name in names if "__pycache__" in name or name.startswith("k2/tests")]


def test_what_ships_beside_the_code_is_in_it(k2: Run, bin_: Path) -> None:
    gold = Path(said(k2("scripts", "gold")).strip())
    found = (
        "from k2.local.alerts import runbook_page; print(runbook_page('docs/runbooks/JobStuck.md'))"
    )
    runbook = Path(said(k2("-c", found, program="python")).strip())
    docs = Path(said(k2("open", "docs")).strip().removeprefix("file://"))

    for path in (gold, runbook, docs):
        assert path.is_file()
        assert path.is_relative_to(bin_.parent)
    assert said(k2("-m", "py_compile", str(gold), program="python")) == ""


def test_commands_that_need_no_service_run(k2: Run) -> None:
    assert said(k2("--version")).startswith("k2 ")
    said(k2("config", "check"))
    said(k2("simulate", "--to", "s.ndjson", "--exchange", "kraken", "--count", "50"))
    assert "50" in said(k2("exchange", "validate", "s.ndjson", "--exchange", "kraken"))


def test_it_runs_from_kafka_to_gold_and_balances(k2: Run) -> None:
    said(k2("up", "--feed", "simulate", "--rate", "200/s", "--for", "5s"))

    assert "balanced" in said(k2("balance", "--json"))
    assert int(said(k2("query", "select count(*) from gold", "--format", "csv")).split()[-1]) > 500

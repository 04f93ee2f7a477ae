"""`make setup` tells in one sentence what it cannot install itself, and cleans up with care."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The PATH of a machine with a shell and its tools, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "env", "dirname", "sed", "head", "rm", "mkdir", "make", "awk"):
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


def install(machine: Path, name: str, script: str) -> None:
    program = machine / name
    program.write_text(f"#!/usr/bin/env bash\n{script}\n")
    program.chmod(0o755)


def run(
    machine: Path, *command: str | Path, cwd: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": str(machine), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_java_that_is_new_enough_is_taken(machine: Path, version: str) -> None:
    install(machine, "java", f"""echo 'openjdk version "{version}" 2025-04-15' >&2""")

    done = run(machine, ROOT / "tools" / "setup", "java")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("version", "major"), [("11.0.2", "11"), ("1.8.0_392", "8"), ("16.0.1", "16")]
)
def test_an_older_java_is_refused_by_its_number(machine: Path, version: str, major: str) -> None:
    install(machine, "java", f"""echo 'openjdk version "{version}"' >&2""")

    done = run(machine, ROOT / "tools" / "setup", "java")

    assert done.returncode == 2
    assert done.stderr.startswith(f"K2 needs Java 17 or newer and found {major}. Install it (")


@pytest.mark.parametrize("java_home", [None, "/nowhere"])
def test_a_missing_java_is_one_sentence_that_says_how(machine: Path, java_home: str | None) -> None:
    done = run(
        machine,
        ROOT / "tools" / "setup",
        "java",
        **({"JAVA_HOME": java_home} if java_home else {}),
    )

    assert done.returncode == 2
    assert done.stderr.startswith("K2 needs Java 17 or newer and found none. Install it (")
    assert len(done.stderr.splitlines()) == 1


def test_an_old_python_is_refused(machine: Path) -> None:
    install(
        machine, "python3", 'if [ "$1" = --version ]; then echo Python 3.10.12; else exit 1; fi'
    )

    done = run(machine, ROOT / "tools" / "setup", "python")

    assert done.returncode == 2
    assert done.stderr.startswith("K2 needs Python 3.11 or newer; python3 is 'Python 3.10.12'.")


def test_make_alone_prints_help_by_section(machine: Path) -> None:
    done = run(machine, "make")

    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line and line[0] != " "] == [
        "Usage: make <target>",
        *("Start here", "Test", "Change code", "Measure", "Clean up"),
    ]
    assert "  demo  " in done.stdout


def test_clean_home_removes_a_home(machine: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    checkout = copy_of_clean_home(tmp_path)

    done = run(machine, checkout / "tools" / "clean-home", K2_HOME=str(home))

    assert done.returncode == 0
    assert not home.exists()


def test_clean_home_leaves_what_is_no_home(machine: Path, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    checkout = copy_of_clean_home(tmp_path)

    done = run(machine, checkout / "tools" / "clean-home", K2_HOME=str(documents))

    assert done.returncode == 2
    assert "is no K2 home. Nothing was removed." in done.stderr
    assert documents.exists()


def copy_of_clean_home(folder: Path) -> Path:
    """The script alone in a checkout without an environment, so that it calls no ``k2``."""
    tools = folder / "checkout" / "tools"
    tools.mkdir(parents=True)
    shutil.copy2(ROOT / "tools" / "clean-home", tools)
    assert os.access(tools / "clean-home", os.X_OK)
    return tools.parent

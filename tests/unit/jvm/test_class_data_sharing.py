"""Archives of Java's classes: found again for the same Java and jars, and never half of one."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from k2.jvm.class_data_sharing import ClassArchive


@pytest.fixture
def java(tmp_path: Path) -> Path:
    executable = tmp_path / "java" / "bin" / "java"
    modules = tmp_path / "java" / "lib" / "modules"
    for file in (executable, modules):
        file.parent.mkdir(parents=True)
        file.write_text("one")
    return executable


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "a.jar"
    path.write_text("classes")
    return path


def archive(java: Path, jar: Path, program: str = "kafka") -> ClassArchive:
    return ClassArchive.of(program, java, [jar], java.parents[2] / "cache")


def ended(found: ClassArchive) -> None:
    """What a JVM does at its end that was given the archive's options."""
    (option,) = [o for o in found.options() if o.startswith("-XX:ArchiveClassesAtExit=")]
    Path(option.split("=")[1]).write_text("archived")


def test_the_first_run_makes_the_archive_and_the_next_one_starts_from_it(java, jar):
    first = archive(java, jar)
    ended(first)
    first.keep()

    second = archive(java, jar)

    assert second.exists
    assert f"-XX:SharedArchiveFile={second.path}" in second.options()
    assert not any("ArchiveClassesAtExit" in option for option in second.options())


def test_what_the_jvm_says_of_its_archives_stays_off_the_terminal(java, jar):
    assert "-Xlog:all=error:stderr" in archive(java, jar).options()


def test_a_command_that_loads_little_makes_none_but_uses_what_is_there(java, jar):
    found = archive(java, jar)

    assert found.options(make=False) == []
    ended(found)
    found.keep()
    assert found.options(make=False) != []


def test_another_jar_or_another_java_has_an_archive_of_its_own(java, jar):
    before = archive(java, jar)

    jar.write_text("other classes")
    other_jar = archive(java, jar)
    (java.parents[1] / "lib" / "modules").write_text("another one")
    other_java = archive(java, jar)

    assert len({before.path, other_jar.path, other_java.path}) == 3


def test_a_draft_is_no_archive(java, jar):
    found = archive(java, jar)
    ended(found)

    assert not archive(java, jar).exists
    found.drop()
    found.keep()
    assert not found.exists


def test_a_run_whose_end_wrote_nothing_keeps_nothing(java, jar):
    found = archive(java, jar)

    found.keep()

    assert not found.exists


def test_the_two_newest_archives_of_a_program_are_kept(java, jar):
    paths = []
    for age, classes in enumerate(["1", "22", "333"]):
        jar.write_text(classes)
        found = archive(java, jar)
        ended(found)
        found.keep()
        moment = time.time() - 100 + age
        os.utime(found.path, (moment, moment))
        paths.append(found.path)
    other = archive(java, jar, "registry")
    ended(other)
    other.keep()

    assert [path.exists() for path in paths] == [False, True, True]
    assert other.exists


def draft_of(found: ClassArchive, pid: int) -> Path:
    found.path.parent.mkdir(parents=True, exist_ok=True)
    draft = found.path.with_suffix(f".{pid}.draft")
    draft.write_text("half")
    return draft


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("has_archive", [False, True])
def test_the_draft_of_a_run_that_died_is_deleted_at_the_next_start(
    java, jar, dead_pid, has_archive
):
    found = archive(java, jar)
    draft, own = draft_of(found, dead_pid), draft_of(found, os.getpid())
    if has_archive:
        found.path.write_text("archived")

    found.options()

    assert not draft.exists()
    assert own.exists()


def test_a_draft_older_than_the_process_that_has_its_number_now_is_deleted(java, jar):
    found = archive(java, jar)
    draft = draft_of(found, os.getpid())
    before = psutil.Process().create_time() - 60
    os.utime(draft, (before, before))

    found.options()

    assert not draft.exists()


def test_a_draft_that_nobody_finished_in_a_day_is_deleted(java, jar):
    found = archive(java, jar)
    draft = draft_of(found, 1)
    os.utime(draft, (0, 0))

    found.options()

    assert not draft.exists()


def test_a_cache_that_cannot_be_written_costs_the_archive_and_nothing_else(java, jar, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")

    assert archive(java, jar).options() == []

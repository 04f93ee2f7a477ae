"""Finding Java: JAVA_HOME, then the PATH; 17 or newer."""

from pathlib import Path

import pytest

from k2.errors import ConfigError
from k2.jvm.java import find_java, major_version

pytestmark = pytest.mark.unit


def installed(folder: Path, version: str, *, home: Path | None = None) -> Path:
    """Make a program that describes itself as Java does."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        f"#!/bin/sh\necho '    java.home = {home or folder}' >&2\n"
        f"echo '    java.version = {version}' >&2\n"
    )
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("version", "major"),
    [
        ("11.0.2", 11),
        ("1.8.0_392", 8),
        ("17.0.15", 17),
        ("17", 17),
        ("21-ea", 21),
        ("24.0.1+9", 24),
    ],
)
def test_the_major_version_of(version: str, major: int) -> None:
    assert major_version(version) == major


def test_a_word_is_no_version() -> None:
    with pytest.raises(ValueError, match="unknown"):
        major_version("unknown")


@pytest.mark.parametrize("version", ["17.0.15", "21-ea", "25"])
def test_java_17_and_newer_will_do(tmp_path: Path, version: str) -> None:
    java = installed(tmp_path, version)

    assert find_java(tmp_path) == (java, version)


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_392", "16.0.1"])
def test_an_older_java_is_named_with_the_way_to_a_newer(tmp_path: Path, version: str) -> None:
    installed(tmp_path, version)

    with pytest.raises(ConfigError, match=rf"is Java {version}\. Install .*apt .*brew"):
        find_java(tmp_path)


def test_java_home_wins_over_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path / "path", "21.0.1")
    installed(tmp_path / "home", "17.0.15")
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))

    assert find_java(tmp_path / "home").version == "17.0.15"
    assert find_java().version == "21.0.1"


def test_no_java_at_all_says_how_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError, match=r"found none\. Install .*apt .*brew"):
        find_java()


def test_a_java_home_without_java_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"JAVA_HOME={tmp_path} has no bin/java"):
        find_java(tmp_path)


@pytest.mark.parametrize(
    "script", ["exit 1", "echo 'Unable to locate a Java Runtime' >&2", "echo java.version = ?"]
)
def test_a_java_that_does_not_work_is_named(tmp_path: Path, script: str) -> None:
    installed(tmp_path, "17").write_text(f"#!/bin/sh\n{script}\n")

    with pytest.raises(ConfigError, match=f"JAVA_HOME={tmp_path} does not"):
        find_java(tmp_path)


def test_a_shim_is_followed_to_the_java_behind_it(tmp_path: Path) -> None:
    real = installed(tmp_path / "real", "17.0.15")
    installed(tmp_path / "shims", "17.0.15", home=tmp_path / "real")

    assert find_java(tmp_path / "shims").executable == real

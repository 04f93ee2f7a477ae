"""The Java that runs Spark, Kafka and the registry."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from k2.errors import ConfigError

NEEDED = 17

_INSTALL = (
    "Install Java 17: `sudo apt install openjdk-17-jre-headless` on Debian and Ubuntu, "
    "`brew install openjdk@17` on macOS."
)
_PROPERTY = re.compile(r"^\s*(java\.(?:home|version)) = (.+)$", re.MULTILINE)


class Java(NamedTuple):
    """One Java installation."""

    executable: Path
    version: str


def find_java(java_home: Path | None = None, variable: str = "JAVA_HOME") -> Java:
    """Return the Java to use: that of ``java_home`` when given, else the first on the PATH.

    ``variable`` is what errors call ``java_home``.

    Raises:
        ConfigError: there is none, it does not run, or it is older than 17; says how to install.
    """
    if java_home is not None:
        command, origin = java_home / "bin" / "java", f"{variable}={java_home}"
        if not command.is_file():
            raise ConfigError(f"{origin} has no bin/java. Correct or unset it. {_INSTALL}")
    elif found := shutil.which("java"):
        command, origin = Path(found), found
    else:
        raise ConfigError(f"K2 needs Java {NEEDED} or newer and found none. {_INSTALL}")
    java = _described(command, origin)
    if major_version(java.version) < NEEDED:
        raise ConfigError(
            f"K2 needs Java {NEEDED} or newer; {origin} is Java {java.version}. {_INSTALL}"
        )
    return java


def major_version(version: str) -> int:
    """Return 17 for ``17.0.15``, 21 for ``21-ea``, 8 for ``1.8.0_392``.

    Raises:
        ValueError: it is no Java version.
    """
    found = re.match(r"(?:1\.)?(\d+)", version)
    if not found:
        raise ValueError(f"{version!r} is no Java version")
    return int(found[1])


def _described(command: Path, origin: str) -> Java:
    try:
        done = subprocess.run(  # noqa: S603
            [command, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{origin} does not run ({error}). {_INSTALL}") from error
    properties = dict(_PROPERTY.findall(done.stderr + done.stdout))
    version = properties.get("java.version", "").strip()
    if not re.match(r"\d", version):
        raise ConfigError(f"{origin} does not tell its version. {_INSTALL}")
    # A shim needs its user's environment; the Java behind it does not.
    real = Path(properties.get("java.home", "").strip(), "bin", "java")
    return Java(real if real.is_file() else command, version)

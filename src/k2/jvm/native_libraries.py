"""Choose where Java unpacks its native libraries, among them zstd, which compresses every table and checkpoint.

By default that is ``/tmp``, whatever ``TMPDIR`` says. Mounted noexec, as Docker's tmpfs and hardened
machines have it, a library there cannot be loaded, and the first batch fails.
"""

import os
import time
from pathlib import Path

from k2.errors import ConfigError
from k2.home.file_system import is_noexec
from k2.settings import Settings

_JAVAS_OWN = Path("/tmp")  # noqa: S108 — looked at, not written
_LOADED_AFTER_SECONDS = 600.0
_PROPERTIES = ("ZstdTempFolder", "org.xerial.snappy.tempdir")


def native_library_options(settings: Settings, javas_own: Path = _JAVAS_OWN) -> list[str]:
    """Return the options for a JVM that K2 starts; none where Java's own folder works.

    Raises:
        ConfigError: libraries cannot be loaded from the home either.
    """
    if not _refuses(javas_own):
        return []
    folder = settings.run / "native"
    folder.mkdir(parents=True, exist_ok=True)
    if _refuses(folder):
        raise ConfigError(
            f"Java can load its libraries neither from {javas_own} nor from {folder}: both are mounted"
            " noexec. Mount one with `exec`, or set K2_HOME elsewhere."
        )
    _remove_old(folder)
    return [f"-D{name}={folder}" for name in _PROPERTIES]


def check_native_libraries(temp_folder: str, zstd_folder: str | None) -> None:
    """Reject a JVM that K2 did not start and that cannot load zstd's library.

    Args:
        temp_folder: its property ``java.io.tmpdir``.
        zstd_folder: its property ``ZstdTempFolder``, which wins.

    Raises:
        ConfigError: the folder is mounted noexec.
    """
    folder = Path(zstd_folder or temp_folder)
    if _refuses(folder):
        raise ConfigError(
            f"{folder} is mounted noexec, and Java loads its zstd library from there. Mount it with"
            " `exec`, or add -Djava.io.tmpdir=FOLDER to --driver-java-options and to"
            " spark.executor.extraJavaOptions."
        )


def _refuses(folder: Path) -> bool:
    return folder.is_dir() and os.name == "posix" and is_noexec(folder)


def _remove_old(folder: Path) -> None:
    """Delete files that killed processes left: a loaded library no longer needs its file."""
    for library in folder.iterdir():
        if time.time() - library.stat().st_mtime > _LOADED_AFTER_SECONDS:
            library.unlink(missing_ok=True)

"""The file system of the home, and that from which Java loads its libraries."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from k2.cli.checks.check import Check, State, level_of
from k2.cli.checks.machine import nearest_folder
from k2.errors import ConfigError
from k2.home.file_system import find_link_fault, find_lock_fault
from k2.jvm.native_libraries import native_library_options
from k2.settings import Settings

_INODES_NEEDED, _INODES_WANTED = 10_000, 200_000
_MAX_SKEW_SECONDS = 5.0
_ELSEWHERE = "Set K2_HOME on another disk, such as a local one."


def check_file_system(settings: Settings) -> Iterator[Check]:
    """Look at locks, hard links, inodes, the file system's clock and noexec; nothing is left."""
    folder = nearest_folder(settings.home)
    yield _check_ability("File locks", "held", find_lock_fault, folder)
    yield _check_ability("Hard links", "made", find_link_fault, folder)
    yield _check_inodes(folder)
    yield _check_clock(folder)
    yield _check_noexec(settings)


def _check_ability(
    name: str, well: str, find_fault: Callable[[Path], str | None], folder: Path
) -> Check:
    try:
        fault = find_fault(folder)
    except OSError as error:
        return Check(
            name, State.MISSING, f"{folder} cannot be written ({error.strerror})", _ELSEWHERE
        )
    if fault is None:
        return Check(name, State.OK, f"{well} in {folder}")
    return Check(name, State.MISSING, fault, _ELSEWHERE)


def _check_inodes(folder: Path) -> Check:
    found = os.statvfs(folder)
    if not found.f_files:
        return Check("Inodes", State.OK, "not limited by this file system")
    state = level_of(found.f_favail, _INODES_NEEDED, _INODES_WANTED)
    remedy = "" if state is State.OK else "Run `k2 maintain`, remove files, or move K2_HOME."
    return Check("Inodes", state, f"{found.f_favail:,} of {found.f_files:,} free", remedy)


def _check_clock(folder: Path) -> Check:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
            file.flush()
            skew = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError as error:
        return Check("Clock", State.WARNING, f"{folder} cannot be written ({error.strerror})")
    if abs(skew) <= _MAX_SKEW_SECONDS:
        return Check("Clock", State.OK, "this machine's and the file system's agree")
    found = f"the file system's is {skew:+.0f} s from this machine's"
    return Check("Clock", State.WARNING, found, "Set both by NTP: files are kept by their time.")


def _check_noexec(settings: Settings) -> Check:
    name = "Libraries"
    try:
        options = native_library_options(settings)
    except ConfigError as error:
        return Check(name, State.MISSING, "Java can load none", str(error))
    except OSError as error:
        return Check(name, State.MISSING, f"{settings.run}: {error.strerror}", _ELSEWHERE)
    if options:
        return Check(name, State.OK, f"from {settings.run}, as Java's own folder is noexec")
    return Check(name, State.OK, "from Java's own folder")

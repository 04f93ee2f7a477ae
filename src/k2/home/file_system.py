"""Check what K2 needs of a file system besides space: locks between processes, and hard links."""

import errno
import fcntl
import os
import tempfile
from pathlib import Path

from k2.errors import ConfigError

_REFUSED = (errno.EAGAIN, errno.EACCES)


def check_file_system(home: Path) -> None:
    """Refuse a home on which two processes could write one table, or on which none can commit.

    Raises:
        ConfigError: the file system has no locks, or locks that do not hold, or no hard links.
        OSError: the folder cannot be written.
    """
    lacks = [lack for lack in (find_lock_fault(home), find_link_fault(home)) if lack]
    if lacks:
        raise ConfigError(
            f"K2_HOME={home} is on a file system that K2 cannot use: {'; '.join(lacks)}. Set K2_HOME"
            " on another disk, such as a local one."
        )


def find_lock_fault(folder: Path) -> str | None:
    """Return what is wrong with locks (``flock``) in a folder; None when they work."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".lock-probe-") as first:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with open(first.name, "rb") as second:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _REFUSED:  # as it should be
                return None
            return (
                f"it has no locks ({error.strerror}), which keep two processes off one table"
                " (NFS: mount it without `nolock`)"
            )
    return "its locks do not hold: two processes could write one table"


def find_link_fault(folder: Path) -> str | None:
    """Return what is wrong with hard links in a folder; None when they work."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".link-probe-") as probe:
        first = Path(probe, "first")
        first.touch()
        try:
            os.link(first, Path(probe, "second"))
        except OSError as error:
            return f"it has no hard links ({error.strerror}), with which Delta commits"
    return None


def is_noexec(folder: Path) -> bool:
    """Tell whether programs and libraries in a folder may not be run."""
    return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)

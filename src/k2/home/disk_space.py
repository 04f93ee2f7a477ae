"""Free space on the disk of ``K2_HOME``: whatever fails because the disk is full says so in one sentence."""

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from k2.errors import FailedError, UnavailableError, is_full_disk
from k2.settings import Settings

_LEAST = 1_000_000  # bytes
_LEAST_INODES = 100
_LATELY = 60.0  # seconds in which what was short of room may end of it


@dataclass
class DiskSpace:
    """The disk of a home, now and at the last checks.

    A file that could not be written is removed, so that a disk which was full may have space again when the
    cause is looked for; and a process that died of it may have been unable to write its error.
    """

    settings: Settings
    _short_at: float = -math.inf

    def look(self) -> None:
        """Note whether the disk has free space."""
        with suppress(OSError):  # no home, no news
            if _is_short(self.settings.home):
                self._short_at = time.monotonic()

    @property
    def was_full(self) -> bool:
        """Whether the disk is full, or was full recently."""
        self.look()
        return time.monotonic() - self._short_at < _LATELY

    @property
    def remedy(self) -> str:
        """The sentence that says what to do."""
        home = self.settings.home
        if _lacks_inodes(home):
            return (
                f"The disk of K2_HOME={home} is full: it has room, but no inodes for further files; run"
                " `k2 maintain`, remove files or set K2_HOME elsewhere."
            )
        return f"The disk of K2_HOME={home} is full; make room or set K2_HOME elsewhere."

    @contextmanager
    def named(self) -> Iterator[None]:
        """Raise errors that a full disk caused as such; leave other errors as they are.

        Raises:
            FailedError: the disk is full.
        """
        try:
            yield
        except OSError as error:
            if is_full_disk(error):
                raise FailedError(self.remedy) from error
            raise
        except (FailedError, UnavailableError) as error:
            if is_full_disk(error) or not self.was_full:
                raise
            raise FailedError(f"{str(error).rstrip('.')}. {self.remedy}") from error


def _is_short(home: Path) -> bool:
    return shutil.disk_usage(home).free < _LEAST or _lacks_inodes(home)


def _lacks_inodes(home: Path) -> bool:
    """Whether no further file can be made; a file system that makes inodes as it goes has none to count."""
    try:
        found = os.statvfs(home)
    except OSError:
        return False
    return bool(found.f_files) and found.f_favail < _LEAST_INODES

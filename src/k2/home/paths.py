"""K2_HOME: its folders, and the lock of the one run that may use it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from k2.errors import ConfigError, InUseError
from k2.home.disk_space import DiskSpace
from k2.home.file_system import check_file_system
from k2.home.locks import exclusive
from k2.settings import Settings

_LOCK = "up"


def prepare_home(settings: Settings) -> None:
    """Make the folders of ``K2_HOME`` and check that K2 can work in them.

    Raises:
        ConfigError: they cannot be written, or the file system has no locks or no hard links.
        FailedError: the disk is full.
    """
    with named_disk_errors(settings):
        for folder in (settings.run, settings.logs, settings.home / "kafka"):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"\0" * 4096)
                os.fsync(probe.fileno())
        (settings.home / "registry").mkdir(exist_ok=True)
        check_file_system(settings.home)


def file_uri(path: Path) -> str:
    """Return the URI of a file or folder for Spark, whatever Hadoop's default file system is.

    Hadoop takes everything after the scheme literally: its paths are not escaped.
    """
    return f"file://{path}"


def require_home(settings: Settings) -> None:
    """Check that ``K2_HOME`` has tables: an empty or wrong home cannot answer questions.

    Raises:
        ConfigError: it has none.
    """
    if not any(settings.lake.glob("*/_delta_log")):
        raise ConfigError(
            f"K2_HOME={settings.home} has no tables. Set K2_HOME to the folder that `k2 up` filled,"
            " or run `k2 up` first."
        )


@contextmanager
def named_disk_errors(settings: Settings) -> Iterator[None]:
    """Turn what the file system says about the home into an error with a remedy.

    Raises:
        ConfigError: the home cannot be written.
        FailedError: the disk is full.
    """
    try:
        with DiskSpace(settings).named():
            yield
    except OSError as error:
        raise ConfigError(
            f"K2_HOME={settings.home} cannot be used: {error.strerror or error}. "
            "Set K2_HOME to a folder that can be written."
        ) from error


class HomeLock:
    """Held by the process that runs the local stack of a home; the system frees it when it dies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: ExitStack | None = None

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._held is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            InUseError: another run has it; the message says which process.
        """
        held = ExitStack()
        try:
            held.enter_context(exclusive(self._settings.run, [_LOCK], "k2 up"))
        except InUseError as error:
            raise InUseError(
                f"K2_HOME={self._settings.home} is in use by a run in progress "
                f"({_holder(self._settings)}). "
                "Stop it with `k2 down`, or set K2_HOME elsewhere."
            ) from error
        self._held = held

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._held is not None:
            self._held.close()
            self._held = None


def require_free_home(settings: Settings) -> None:
    """Check that no run uses the home.

    Raises:
        InUseError: one has it; the message says which process.
    """
    lock = HomeLock(settings)
    lock.acquire()
    lock.release()


def _holder(settings: Settings) -> str:
    try:
        return f"process {json.loads((settings.run / f'{_LOCK}.lock').read_text())['pid']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

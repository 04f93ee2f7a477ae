"""Locks of the operating system: one writer process per table, one process per checkpoint."""

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from k2.errors import ConfigError, InUseError

# `is_held` takes a lock for a moment to look at it, which is no reason to refuse anyone.
_TRIES = 5
_BETWEEN_TRIES = 0.05  # seconds
_BETWEEN_WAITS = 0.2


@contextmanager
def exclusive(folder: Path, names: Iterable[str], purpose: str) -> Iterator[None]:
    """Hold one lock for each name, all or none, until the block ends or the process dies.

    Delta on a local file system has no safe commit for two writers: both would report success and one commit
    would be lost. The operating system releases the locks of a killed process.

    Raises:
        InUseError: another process holds one of them; the message says which, and who.
        ConfigError: the folder cannot be written.
    """
    with ExitStack() as held:
        for name in sorted(names):
            held.enter_context(_locked(folder / f"{name}.lock", name, purpose))
        yield


@contextmanager
def exclusive_soon(
    folder: Path, names: Iterable[str], purpose: str, seconds: float = 30.0
) -> Iterator[None]:
    """Hold locks as :func:`exclusive` does, and wait for a process that has them for a moment only.

    Raises:
        InUseError: another process holds one of them for longer than ``seconds``.
    """
    names, end = list(names), monotonic() + seconds
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(exclusive(folder, names, purpose))
                break
            except InUseError:
                if monotonic() > end:
                    raise
                sleep(_BETWEEN_WAITS)
        yield


@contextmanager
def _locked(path: Path, name: str, purpose: str) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(
            f"Cannot write {path}: {error.strerror}. Set K2_HOME elsewhere."
        ) from error
    try:
        if not _taken(descriptor):
            raise InUseError(f"{name} is in use by {_holder(descriptor)}. Stop that first.")
        holder = {"pid": os.getpid(), "purpose": purpose, "program": Path(sys.argv[0]).name}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    for attempt in range(_TRIES):
        if attempt:
            sleep(_BETWEEN_TRIES)
        with contextlib.suppress(BlockingIOError), _named_fault():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


@contextmanager
def _named_fault() -> Iterator[None]:
    """Say of a file system without locks that it is one."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise ConfigError(
            f"The file system of K2_HOME has no locks ({error.strerror}), which keep two processes off"
            " one table. Set K2_HOME on another disk, such as a local one."
        ) from error


def _holder(descriptor: int) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"{holder['purpose']} (process {holder['pid']}, {holder['program']})"
    return "another process"


def is_held(folder: Path, name: str) -> bool:
    """Tell whether a process holds the lock; false when it was never taken."""
    try:
        with (folder / f"{name}.lock").open("rb") as file, _named_fault():
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False

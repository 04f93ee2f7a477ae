"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k2.errors import ConfigError


def replace_whole(path: Path, content: bytes) -> None:
    """Replace a file's content: a reader finds the old content or the new, never part of it.

    After a crash of the machine the file may have either; :func:`replace_durably` guarantees the new.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(content)
    scratch.replace(path)


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a file; once this returns, the new content survives a crash of the machine."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a draft beside a file that somebody asked for; at the end it becomes the file.

    Where it is not written to its end, neither is there, and a file that was there before is as it was.

    Raises:
        ConfigError: the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        try:
            yield draft
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror or error}.") from error

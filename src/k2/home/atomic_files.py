"""Files that are written whole or not at all."""

import os
from pathlib import Path


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

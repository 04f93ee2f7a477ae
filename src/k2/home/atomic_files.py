"""Files that are written whole or not at all."""

import os
from pathlib import Path


def replace_whole(path: Path, content: bytes) -> None:
    """Put a file in the place of another: a reader finds the old content or the new, never a half.

    What a crash of the machine leaves of it is not said: that is :func:`replace_durably`.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(content)
    scratch.replace(path)


def replace_durably(path: Path, content: bytes) -> None:
    """Put a file in the place of another; once this returns, a crash of the machine leaves it there."""
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

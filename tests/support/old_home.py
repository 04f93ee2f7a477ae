"""A home as K2 wrote it before its tables had versions."""

import tarfile
from pathlib import Path

import zstandard

from k2.settings import Settings

OLD_HOME = Path(__file__).parents[1] / "data" / "homes" / "a7a2ca0.tar.zst"


def unpack_old_home(folder: Path) -> Settings:
    """Unpack the home into a folder; its tables are of version 1."""
    with zstandard.open(OLD_HOME, "rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        tar.extractall(folder, filter="data")
    return Settings(home=folder / ".k2")

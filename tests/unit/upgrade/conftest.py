"""A home as K2 wrote it before its tables had versions."""

import tarfile
from pathlib import Path

import pytest
import zstandard

from k2.settings import Settings

OLD_HOME = Path(__file__).parents[2] / "data" / "homes" / "a7a2ca0.tar.zst"


def unpack_old_home(folder: Path) -> Settings:
    """Unpack the home into a folder; its tables are of version 1."""
    with zstandard.open(OLD_HOME, "rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        tar.extractall(folder, filter="data")
    return Settings(home=folder / ".k2")


@pytest.fixture
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An old home of this test, which is also that of the commands."""
    settings = unpack_old_home(tmp_path)
    monkeypatch.setenv("K2_HOME", str(settings.home))
    return settings

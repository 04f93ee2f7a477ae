"""A home of an older version for each test that asks for one."""

from pathlib import Path

import pytest

from k2.settings import Settings
from tests.support.old_home import unpack_old_home


@pytest.fixture
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An old home of this test, which is also that of the commands."""
    settings = unpack_old_home(tmp_path)
    monkeypatch.setenv("K2_HOME", str(settings.home))
    return settings

"""A home for each test, of which no process outlives it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.home import K2Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[K2Home]:
    """A K2_HOME of the test's own; whatever still runs on it in the end is killed."""
    home = K2Home(tmp_path / "home")
    yield home
    home.kill_all()

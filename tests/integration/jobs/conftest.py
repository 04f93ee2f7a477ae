"""A PostgreSQL for all tests of this folder, and a database of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from k2.settings import Settings
from tests.support.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL; skipped where Debian's package postgresql is not installed."""
    with postgres() as running:
        yield running


@pytest.fixture
def shared(server: Postgres, tmp_path: Path) -> Settings:
    """Settings of an instance over an empty database."""
    return Settings.load(
        home=tmp_path / "home", ops_db=server.new_database(), jobs_executor="first"
    )

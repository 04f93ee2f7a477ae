"""A registry on a file of the test's own, with and without an engine that runs its jobs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from k2.jobs.database import Database
from k2.jobs.engine import JobEngine, prepare
from k2.jobs.registry import Registry
from k2.settings import Settings
from tests.support.jobs import KINDS, engine_of


class RecordingQueue:
    """Does nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def enqueue(self, connection: Connection, kind: str, job_id: str) -> None:
        self.asked.append(("enqueue", kind, job_id))

    def cancel(self, job_id: str) -> None:
        self.asked.append(("cancel", job_id))

    def resume(self, job_id: str) -> None:
        self.asked.append(("resume", job_id))

    def rewind(self, job_id: str, first_step: int) -> None:
        self.asked.append(("rewind", job_id, str(first_step)))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty registry; to make one takes a second."""
    made = Database(Settings.load(home=tmp_path_factory.mktemp("registry")))
    prepare(made)
    made.close()
    assert made.file is not None
    return made.file


@pytest.fixture
def database(settings: Settings, prepared: Path) -> Iterator[Database]:
    """An empty registry's database."""
    settings.home.mkdir(parents=True)
    shutil.copy(prepared, settings.home)
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def registry(database: Database, queue: RecordingQueue) -> Registry:
    """A registry whose jobs nobody runs."""
    return Registry(database, KINDS, queue)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobEngine]:
    """An engine that runs, for all tests of a file; they tell their jobs apart by id."""
    with engine_of(
        Settings.load(home=tmp_path_factory.mktemp("engine")), grace_seconds=0.0
    ) as running:
        yield running

"""A registry's file that cannot be used is said with what helps, and a registry in use with when to come back."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from k2.errors import ConfigError, UnavailableError
from k2.jobs import database as module
from k2.jobs import job_run
from k2.jobs.database import Database, RegistryDamagedError, RegistryUnavailableError
from k2.jobs.engine import open_registry, prepare
from k2.jobs.engine.queue import has_work
from k2.jobs.job_run import StandStill, patiently
from k2.jobs.model import JobState
from k2.settings import Settings
from tests.support.jobs import KINDS
from tests.support.read_only import make_read_only

MOST = 32  # connections at once
COUNT_JOBS = text("SELECT count(*) FROM k2_job")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)


@contextmanager
def locked(file: Path | None) -> Iterator[None]:
    """Let another program write, and not come to an end."""
    assert file is not None
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def test_a_file_that_another_program_is_writing_is_not_made_a_registry(
    settings: Settings, impatient: None
) -> None:
    settings.home.mkdir(parents=True)
    database = Database(settings)

    with locked(database.file), pytest.raises(RegistryUnavailableError, match="is locked by anoth"):
        database.make_file()

    database.make_file()


def test_a_file_whose_pages_do_not_fit_together_is_named_before_anything_runs(
    database: Database, settings: Settings
) -> None:
    registry = open_registry(settings, KINDS)
    for _ in range(50):
        registry.submit("count", {})
    registry.database.close()
    database.close()
    assert database.file is not None
    with closing(sqlite3.connect(database.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'k2_outbox'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(database.file.read_bytes())
    content[(page - 1) * size + 8 : (page - 1) * size + 40] = bytes(32)
    database.file.write_bytes(content)

    with pytest.raises(RegistryDamagedError, match=r"is damaged \(.*\)\. Put back a copy of it"):
        prepare(database)


def test_a_file_that_no_service_has_set_up_says_to_start_one(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "jobs.sqlite").touch()
    registry = open_registry(settings, KINDS)

    with pytest.raises(ConfigError, match=r"has not been set up\. Start `k2 serve` once"):
        registry.jobs()
    registry.database.close()


def test_a_registry_whose_connections_are_all_in_use_says_to_come_back(database: Database) -> None:
    database.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(database.reading())
        one_more = database.reading()
        with pytest.raises(UnavailableError, match=r"has no connection free\. Try again"):
            one_more.__enter__()

    with database.reading() as connection:
        assert connection.execute(COUNT_JOBS).scalar() == 0


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    insert = text("INSERT INTO k2_stream_wish (stream, wish, since_ms) VALUES ('gold', 'run', 1)")

    def write() -> None:
        with database.writing() as connection:
            connection.execute(insert)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write()

    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM k2_stream_wish")).scalar() == 0


def test_an_end_does_not_hurry_where_nobody_can_say_whether_there_is_work(
    settings: Settings,
) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "jobs.sqlite").touch()
    database = Database(settings)

    assert has_work(database, "local")
    database.close()


def test_a_job_whose_registry_can_only_be_read_is_not_cancelled(
    database: Database, settings: Settings
) -> None:
    registry = open_registry(settings, KINDS)
    job = registry.submit("count", {}).job
    undo = make_read_only(registry.database)

    with pytest.raises(UnavailableError, match="does not answer; try again"):
        registry.queue.cancel(job.id)
    undo()

    assert registry.cancel(job.id).state is JobState.CANCELLED
    registry.database.close()


def test_a_job_waits_for_a_registry_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "_PATIENCE_SECONDS", 0.01)
    answers = iter([RegistryUnavailableError("away"), RegistryUnavailableError("away"), None])

    def ask() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "here"

    assert patiently(ask, threading.Event()) == "here"


def test_a_job_that_waits_for_the_registry_stands_still_when_the_process_ends() -> None:
    stopping = threading.Event()
    stopping.set()

    def ask() -> None:
        raise RegistryUnavailableError("away")

    with pytest.raises(StandStill):
        patiently(ask, stopping)

"""The database of the jobs' registry: SQLite in K2_HOME, or PostgreSQL where ``K2_OPS_DB`` says so.

dbos and K2 keep their tables in the same database, so that one transaction covers both.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from k2.errors import ConfigError, K2Error, UnavailableError, first_line
from k2.observability.redaction import redacted
from k2.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 10.0  # how long a writer waits for another one of SQLite
_CONNECT_SECONDS = 5
_SCHEMA = "dbos"  # where dbos has its tables in PostgreSQL


class RegistryDamagedError(ConfigError):
    """The registry's database is damaged, read-only or of a newer K2."""


class RegistryUnavailableError(UnavailableError):
    """The registry's database does not answer, or is locked."""


class Database:
    """Connections to the registry's database; open one in each process and :meth:`close` it."""

    def __init__(self, settings: Settings) -> None:
        """Describe the database; nothing is connected or made yet."""
        self.file: Path | None = None
        if not settings.ops_db:
            self.file = settings.home / "jobs.sqlite"
            self.url = f"sqlite:///{self.file}"
        else:
            self.url = settings.ops_db.get_secret_value()

    @cached_property
    def engine(self) -> "Engine":
        """What connects; made, and its library loaded, at the first use."""
        return _make_engine(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file, written by one at a time."""
        return self.file is not None

    @property
    def name(self) -> str:
        """Its name in sentences, without the password."""
        return str(self.file) if self.file else str(redacted(self.url))

    def make_file(self) -> None:
        """Make the file, for its owner only, with a write-ahead log; nothing for PostgreSQL.

        Raises:
            ConfigError: it cannot be written, or is no database.
        """
        if self.file is None:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
            with sqlite3.connect(self.file, timeout=BUSY_SECONDS) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.close()
        except OSError as error:
            raise RegistryDamagedError(
                f"The jobs' registry {self.file} cannot be written: {error.strerror}. "
                "Set K2_HOME to a folder that can be."
            ) from error
        except sqlite3.OperationalError as error:
            raise _named(error, self) from error
        except sqlite3.DatabaseError as error:
            raise RegistryDamagedError(_damaged(self, error)) from error
        if found != "ok":
            raise RegistryDamagedError(_damaged(self, found))

    def exists(self) -> bool:
        """Whether a registry was made; PostgreSQL is asked only when it is used."""
        return self.file is None or self.file.exists()

    @contextmanager
    def reading(self) -> "Iterator[Connection]":
        """Connect to read.

        Raises:
            UnavailableError: the database does not answer.
            ConfigError: the file is damaged or cannot be read.
        """
        with self.named_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> "Iterator[Connection]":
        """Connect for one transaction; no other writer of SQLite can interleave.

        Raises:
            UnavailableError: the database does not answer, or is locked for long.
            ConfigError: the file is damaged or read-only.
        """
        with self.named_errors(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def close(self) -> None:
        """Close all connections."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn what a driver says into an error with a remedy."""
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.exc import TimeoutError as NoConnectionFree

        try:
            yield
        except K2Error:
            raise
        except NoConnectionFree as error:
            raise RegistryUnavailableError(
                f"The jobs' registry {self.name} has no connection free. Try again in a moment."
            ) from error
        except DBAPIError as error:
            raise _named(error.orig or error, self) from error


def _make_engine(url: str) -> "Engine":
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "K2_OPS_DB is no address of a database; write postgresql://user:password@host/name."
        ) from error
    if parsed.get_backend_name() == "sqlite":
        engine = sqlalchemy.create_engine(url, pool_size=8, max_overflow=24, pool_timeout=30)

        @sqlalchemy.event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = "IMMEDIATE"
            connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA synchronous=FULL")

        return engine
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(f"K2_OPS_DB={redacted(url)!r}: only postgresql://… is supported.")
    return sqlalchemy.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=8,
        max_overflow=24,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "options": f"-csearch_path={_SCHEMA},public",
        },
    )


def _named(error: BaseException, database: Database) -> K2Error:
    """Turn what a driver says into a sentence with a remedy."""
    text = first_line(str(redacted(str(error))), 200)
    said = text.lower()
    if "locked" in said or "busy" in said:
        return RegistryUnavailableError(
            f"The jobs' registry {database.name} is locked by another program; nothing was changed."
            " Try again in a moment."
        )
    if "readonly" in said or "read-only" in said or "unable to open" in said:
        return RegistryDamagedError(
            f"The jobs' registry {database.name} cannot be written ({text}). Give its owner the"
            " right to, or set K2_HOME elsewhere."
        )
    if database.is_sqlite and ("malformed" in said or "not a database" in said):
        return RegistryDamagedError(_damaged(database, text))
    if database.is_sqlite and "no such table" in said:
        return RegistryDamagedError(
            f"The jobs' registry {database.name} has not been set up. Start `k2 serve` once."
        )
    return RegistryUnavailableError(f"The jobs' registry {database.name} does not answer: {text}.")


def _damaged(database: Database, what: object) -> str:
    said = " ".join(str(what).split())  # SQLite's check says it in two lines
    return (
        f"The jobs' registry {database.name} is damaged ({said}). Put back a copy of it (see the"
        " how-to on jobs), or move it away and start anew; tables and streams are not touched."
    )

"""Allow one live process for each executor, across machines: an advisory lock of PostgreSQL that ends with it."""

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from k2.errors import InUseError, UnavailableError
from k2.jobs.database import Database
from k2.jobs.lifecycle import clear_runs
from k2.jobs.registry import Registry

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = structlog.get_logger("k2.jobs")

_SPACE = 0x4B32  # "K2": whose advisory locks these are
_LOCK = text("SELECT pg_try_advisory_lock(:space, hashtext(:executor))")
_OTHERS = text(
    "SELECT executor FROM k2_run WHERE executor <> :own UNION SELECT executor_id FROM workflow_status"
    " WHERE status = 'PENDING' AND executor_id IS NOT NULL AND executor_id <> :own"
)
_PENDING = text(
    "SELECT id FROM k2_job JOIN workflow_status ON workflow_uuid = id WHERE status = 'PENDING'"
    " AND executor_id = :executor AND wish = 'run' AND state IN ('queued', 'running')"
)


class ExecutorLock:
    """The lock of this process's executor, on a connection of its own."""

    def __init__(self, database: Database, executor: str) -> None:
        """Describe the lock; it is not taken yet."""
        self._database, self._executor = database, executor
        self._connection: Connection | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            InUseError: another live process is this executor.
        """
        with self._database.named_errors():
            connection = self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
        if not _take(connection, self._executor):
            connection.close()
            raise InUseError(
                f"Another process runs jobs as {self._executor} on {self._database.name}. Stop that"
                " first, or give each instance its own K2_JOBS_EXECUTOR."
            )
        self._connection = connection

    def keep(self) -> None:
        """Check that the lock is held, and take it again if its connection was lost.

        Raises:
            UnavailableError: the database does not answer.
            InUseError: another process has it now.
        """
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
                return
            except DBAPIError:
                self.release()
        self.acquire()
        log.warning("executor_lock_taken_again", executor=self._executor)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._connection is not None:
            # The session ends, and with it its locks; back in the pool it would keep them.
            with suppress(DBAPIError):
                if not self._connection.invalidated:
                    self._connection.detach()
                self._connection.close()
            self._connection = None


def take_over(registry: Registry, own: str) -> list[str]:
    """Enqueue the jobs of executors that have died again; return those jobs.

    This process does so while it holds the dead executor's lock; the lock of a live executor cannot be taken.

    Raises:
        UnavailableError: the database does not answer.
    """
    database, taken = registry.database, []
    with database.reading() as connection:
        others = list(connection.execute(_OTHERS, {"own": own}).scalars())
    for executor in others:
        lock = ExecutorLock(database, executor)
        try:
            lock.acquire()
        except InUseError:
            continue  # it lives
        try:
            clear_runs(database, executor)
            with database.reading() as connection:
                jobs = list(connection.execute(_PENDING, {"executor": executor}).scalars())
            for job_id in jobs:
                registry.queue.resume(job_id)
                log.warning("job_taken_over", job_id=job_id, executor=executor)
            taken += jobs
        finally:
            lock.release()
    return taken


def _take(connection: "Connection", executor: str) -> bool:
    try:
        values = {"space": _SPACE, "executor": executor}
        return bool(connection.execute(_LOCK, values).scalar())
    except DBAPIError as error:
        raise UnavailableError("The jobs' registry does not answer; try again.") from error

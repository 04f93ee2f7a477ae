"""Create dbos's tables and write to them to submit and control jobs; no job runs here."""

from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSClient
from sqlalchemy import Connection, text

from k2.errors import K2Error, UnavailableError
from k2.jobs import tables
from k2.jobs.database import Database
from k2.jobs.engine.log_filter import quieten_dbos
from k2.jobs.engine.serialization import JobJson, refuse_pickle
from k2.jobs.kinds.kind import JobKinds, QueueName
from k2.jobs.registry import Registry
from k2.settings import Settings

# Changes only when the steps of an existing kind change their names or order; see docs/adr.
VERSION = "k2-jobs-1"
NAME = "k2-jobs"


class JobQueue:
    """dbos's side of the registry: writes rows of its tables and runs no job."""

    def __init__(self, database: Database, kinds: JobKinds) -> None:
        """Connect when first used."""
        refuse_pickle()
        self._database, self._kinds = database, kinds
        self._client = DBOSClient(
            system_database_engine=database.engine,
            dbos_system_schema="dbos",
            serializer=JobJson(),
            application_name=NAME,
            lazy=True,
            retry_connection_errors=False,
        )

    def enqueue(self, connection: Connection, kind: str, job_id: str) -> None:
        """Enqueue within the caller's transaction."""
        options: Any = {
            "workflow_name": kind,
            "queue_name": str(self._kinds.named(kind).queue),
            "workflow_id": job_id,
            "app_version": VERSION,
        }
        self._client.enqueue_in_transaction(connection, options)

    def cancel(self, job_id: str) -> None:
        """End a job whose work stands still."""
        _answered(lambda: self._client.cancel_workflow(job_id))

    def resume(self, job_id: str) -> None:
        """Enqueue again a job that was paused, cancelled or lost."""
        queue = self._queue_of(job_id)
        _answered(lambda: self._client.resume_workflow(job_id, queue_name=queue))

    def rewind(self, job_id: str, first_step: int) -> None:
        """Enqueue again a job that failed, from a step on."""
        queue = self._queue_of(job_id)
        _answered(
            lambda: self._client.rewind_workflow(job_id, start_step=first_step, queue_name=queue)
        )

    def delete(self, job_ids: list[str]) -> None:
        """Delete jobs that have ended."""
        self._client.delete_workflows(job_ids)

    def _queue_of(self, job_id: str) -> str:
        with self._database.reading() as connection:
            query = text("SELECT kind FROM k2_job WHERE id = :id")
            kind = str(connection.execute(query, {"id": job_id}).scalar())
        return str(self._kinds.named(kind).queue if kind in self._kinds else QueueName.JOBS)


def prepare(database: Database) -> None:
    """Create the registry's database, or migrate it.

    Raises:
        ConfigError: it cannot be used, or a newer K2 has made it.
        UnavailableError: it does not answer.
    """
    refuse_pickle()
    quieten_dbos()
    database.make_file()
    with database.named_errors():
        DBOS.migrate(database.url)
    with database.writing() as connection:
        tables.install(connection)


def has_work(database: Database, executor: str) -> bool:
    """Tell whether an executor has a job that has not ended for dbos; assumed where nobody answers."""
    under_way = "SELECT 1 FROM workflow_status WHERE status = 'PENDING' AND executor_id = :executor"
    try:
        with database.reading() as connection:
            return connection.execute(text(under_way), {"executor": executor}).first() is not None
    except K2Error:
        return True


def open_registry(settings: Settings, kinds: JobKinds) -> Registry:
    """Open the registry to submit and control jobs that another process runs."""
    database = Database(settings)
    return Registry(database, kinds, JobQueue(database, kinds))


def _answered(call: Callable[[], Any]) -> None:
    from sqlalchemy.exc import DBAPIError

    try:
        call()
    except DBAPIError as error:
        raise UnavailableError("The jobs' registry does not answer; try again.") from error

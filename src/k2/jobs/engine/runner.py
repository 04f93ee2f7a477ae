"""Runs the jobs of a registry in this process."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import structlog
from dbos import DBOS

from k2.errors import K2Error, NothingDoneError
from k2.home.locks import exclusive
from k2.jobs.database import Database
from k2.jobs.engine.executor_lock import ExecutorLock, take_over
from k2.jobs.engine.queue import NAME, VERSION, JobQueue, has_work, prepare
from k2.jobs.engine.serialization import JobJson
from k2.jobs.engine.single_start import SingleStart
from k2.jobs.engine.watchdog import GRACE_SECONDS, TAKEOVER_SECONDS, WATCH_SECONDS, Watchdog
from k2.jobs.job_run import JobRun, StandStill, patiently
from k2.jobs.kinds.kind import JobKind, JobKinds, QueueName
from k2.jobs.lifecycle import begin_run, clear_runs, keep_outcome, reconcile, stand_still
from k2.jobs.model import Wish
from k2.jobs.registry import Registry
from k2.retry import POLICY, RetryPolicy
from k2.settings import Settings

log = structlog.get_logger("k2.jobs")

LOCK = "jobs"
_POLL_SECONDS = 0.25
_CHECKS_AT_ONCE = 2  # so that a long one holds up no other, and streams have the machine
_CHECKS_POLLED_LESS = 4  # nobody waits for one, and each look costs
_THREADS = 16
_STOP_SECONDS = 30


@dataclass
class EngineOptions:
    """What tests and small machines choose otherwise."""

    concurrency: int = 4
    poll_seconds: float = _POLL_SECONDS
    policy: RetryPolicy = POLICY
    watch_seconds: float = 0.0  # 0: as the database wants
    grace_seconds: float = GRACE_SECONDS


class JobEngine:
    """Runs the jobs of a registry in this process, from :meth:`start` to :meth:`stop`.

    dbos keeps its state in the process, so there is one at a time.
    """

    def __init__(
        self, settings: Settings, kinds: JobKinds, options: EngineOptions | None = None
    ) -> None:
        """Describe the engine; nothing runs yet."""
        self.settings = settings
        self.options = options or EngineOptions()
        self.database = Database(settings)
        self.registry = Registry(self.database, kinds, JobQueue(self.database, kinds))
        self.stopping = threading.Event()
        self.on_end: Callable[[str, str, float], None] = lambda _kind, _outcome, _seconds: None
        self.on_step_failure: Callable[[str, str], None] = lambda _kind, _error: None
        self.executor = executor_name(settings)
        self._lock = ExecutorLock(self.database, self.executor)
        watch_seconds = WATCH_SECONDS if self.database.is_sqlite else TAKEOVER_SECONDS
        self.watchdog = Watchdog(
            self.registry,
            self.executor,
            self.options.watch_seconds or watch_seconds,
            self._look_at_others,
            self.options.grace_seconds,
        )
        self._starts = SingleStart(self.stopping)
        self._held = ExitStack()
        self._started = False

    def start(self) -> None:
        """Take the registry's lock, repair what a crash left, and run queued jobs.

        Raises:
            InUseError: another process of this machine runs the jobs of this home.
            ConfigError: the database cannot be used, or a newer K2 or dbos has made it.
            UnavailableError: it does not answer.
        """
        try:
            if self.database.is_sqlite:
                self.settings.run.mkdir(parents=True, exist_ok=True)
                self._held.enter_context(
                    exclusive(self.settings.run / "locks", [LOCK], "the jobs' service")
                )
            prepare(self.database)
            if not self.database.is_sqlite:
                self._lock.acquire()
                self._held.callback(self._lock.release)
            for job_id in clear_runs(self.database, self.executor):
                log.info("job_recovered", job_id=job_id)
            reconcile(self.database)
            self._launch()
        except BaseException:
            self._held.close()
            self.database.close()
            raise

    def _look_at_others(self) -> None:
        """Check that this executor's lock is still held, and take over the jobs of executors that died."""
        if not self.database.is_sqlite:
            self._lock.keep()
            take_over(self.registry, self.executor)

    def _launch(self) -> None:
        DBOS(
            config={
                "name": NAME,
                "system_database_url": self.database.url,
                "application_version": VERSION,
                "executor_id": self.executor,
                "serializer": JobJson(),
                "max_executor_threads": max(_THREADS, self.options.concurrency + 4),
                "log_level": "WARNING",
                "run_migrations": False,
                # No job waits for a notification, so a look costs nothing; the end waits for the last one.
                "notification_listener_polling_interval_sec": self.options.poll_seconds,
            }
        )
        for kind in self.registry.kinds:
            DBOS.workflow(name=kind.name, max_recovery_attempts=1_000)(make_workflow(self, kind))
        DBOS.launch()
        options = self.options
        for queue, concurrency, poll_seconds in (
            (QueueName.JOBS, options.concurrency, options.poll_seconds),
            (QueueName.CHECKS, _CHECKS_AT_ONCE, options.poll_seconds * _CHECKS_POLLED_LESS),
        ):
            DBOS.register_queue(
                str(queue),
                worker_concurrency=concurrency,
                polling_interval_sec=poll_seconds,
                on_conflict="always_update",
            )
        self._started = True
        self.watchdog.start()

    def stop(self) -> None:
        """Let each job stop at its next step boundary, and end; a second call does nothing."""
        if not self._started:
            self._held.close()
            return
        self.stopping.set()
        self.watchdog.stop()
        DBOS.destroy(
            destroy_registry=True,
            # dbos sleeps for a second before it looks whether a workflow is still there.
            workflow_completion_timeout_sec=(
                _STOP_SECONDS if has_work(self.database, self.executor) else 0
            ),
        )
        self._started = False
        self.database.close()
        self._held.close()

    def __enter__(self) -> "JobEngine":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def run_job(self, kind: JobKind) -> dict[str, Any]:
        """Run the body of the workflow that dbos is in."""
        job_id = str(DBOS.workflow_id)
        with self._starts.of(job_id):
            return self._run_job(kind, job_id)

    def _run_job(self, kind: JobKind, job_id: str) -> dict[str, Any]:
        began = time.monotonic()
        stopping, database = self.stopping, self.database
        wish, attempt = Wish.RUN, 0
        try:
            wish, attempt = patiently(lambda: begin_run(database, job_id, self.executor), stopping)
            if wish is not Wish.RUN:
                raise StandStill(wish)
            result = self._do(kind, job_id, attempt)
        except StandStill as stand:
            wish = stand.wish
            patiently(lambda: stand_still(database, job_id, attempt, wish), stopping)
            if stand.wish is Wish.CANCEL:
                self.registry.queue.cancel(job_id)
            raise
        except Exception as error:
            failure = error
            if not isinstance(error, K2Error):
                log.exception("job_broken", job_id=job_id, kind=kind.name)
            patiently(lambda: keep_outcome(database, job_id, failure), stopping)
            log.warning("job_failed", job_id=job_id, kind=kind.name, reason=str(error))
            self.on_end(kind.name, "failed", time.monotonic() - began)
            raise
        patiently(lambda: keep_outcome(database, job_id, result), stopping)
        log.info("job_completed", job_id=job_id, kind=kind.name)
        self.on_end(kind.name, "completed", time.monotonic() - began)
        return result

    def _do(self, kind: JobKind, job_id: str, attempt: int) -> dict[str, Any]:
        job = self.registry.job(job_id)
        params = kind.validated(job.params)
        run = JobRun(
            *(job_id, kind.name, attempt, self.settings, self.database, _record, self.stopping),
            policy=self.options.policy,
            on_step_failure=self.on_step_failure,
        )
        with structlog.contextvars.bound_contextvars(job_id=job_id, request_id=job.request_id):
            result = kind.run(run, params) or {}
        run.require_all_done()
        if params.fail_on_nothing and not run.rows:
            raise NothingDoneError(
                f"{kind.name} found nothing to do; fail_on_nothing=false lets that pass."
            )
        return result


def executor_name(settings: Settings) -> str:
    """Return the name of this instance, which is always the same and unique."""
    if settings.ops_db is None:
        return "local"
    home = hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]
    return settings.jobs_executor or f"{socket.gethostname()}-{home}"


def make_workflow(engine: JobEngine, kind: JobKind) -> Callable[[], dict[str, Any]]:
    """Return a function of no arguments that dbos can register."""

    def run_workflow() -> dict[str, Any]:
        return engine.run_job(kind)

    run_workflow.__qualname__ = run_workflow.__name__ = kind.name
    return run_workflow


def _record(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return DBOS.run_step({"name": name}, work)

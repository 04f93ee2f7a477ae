"""A thread that finds jobs which should run but no process runs, and enqueues them again."""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import text

from k2.errors import InUseError, UnavailableError
from k2.jobs.clock import now_ms
from k2.jobs.registry import Registry

log = structlog.get_logger("k2.jobs")

WATCH_SECONDS = 30.0
GRACE_SECONDS = 30.0  # after a job was given to a thread, before it counts as lost
TAKEOVER_SECONDS = 5.0  # where there are other executors to look after

# A workflow that is under way for dbos, while no run of it is noted and nobody wants it to stand.
_LOST = text(
    "SELECT id FROM k2_job JOIN workflow_status ON workflow_uuid = id"
    " WHERE status = 'PENDING' AND executor_id = :executor AND wish = 'run'"
    " AND state IN ('queued', 'running')"
    " AND NOT EXISTS (SELECT 1 FROM k2_run WHERE job_id = id)"
    # On a busy machine a thread that was given a job takes seconds to note that it runs it.
    " AND coalesce(started_at_epoch_ms, 0) < :before"
)
# A cancel whose process died between noting the wish and carrying it out.
_TO_CANCEL = text(
    "SELECT id FROM k2_job WHERE wish = 'cancel' AND state IN ('queued', 'running', 'paused')"
    " AND NOT EXISTS (SELECT 1 FROM k2_run WHERE job_id = id)"
)


class Watchdog:
    """Checks every half minute; ``also`` is called after each check."""

    def __init__(
        self,
        registry: Registry,
        executor: str,
        seconds: float = WATCH_SECONDS,
        also: Callable[[], None] = lambda: None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._registry, self._executor = registry, executor
        self._grace_ms = int(grace_seconds * 1000)
        self._seconds, self._also = seconds, also
        self._seen: set[str] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="k2-jobs-watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def look_once(self) -> list[str]:
        """Enqueue jobs that were lost at two checks in a row; return them."""
        with self._registry.database.reading() as connection:
            values = {"executor": self._executor, "before": now_ms() - self._grace_ms}
            lost = set(connection.execute(_LOST, values).scalars())
            cancelled = list(connection.execute(_TO_CANCEL).scalars())
        for job_id in cancelled:
            self._registry.queue.cancel(job_id)
        healed = sorted(lost & self._seen)
        self._seen = lost - set(healed)
        for job_id in healed:
            log.warning("job_was_lost", job_id=job_id)
            self._registry.queue.resume(job_id)
        return healed

    def _watch(self) -> None:
        while not self._ending.wait(self._seconds):
            try:
                self.look_once()
                self._also()
            except (UnavailableError, InUseError) as error:
                log.warning("jobs_registry_unavailable", reason=str(error))

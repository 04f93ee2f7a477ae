"""What a kind works with while its job runs: steps, checkpoints, and requests to stop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from sqlalchemy import text

from k2.errors import K2Error, PartlyDoneError
from k2.jobs import json_values
from k2.jobs.clock import now_ms
from k2.jobs.database import Database, RegistryUnavailableError
from k2.jobs.fault_points import reach
from k2.jobs.model import StepResult, StepStatus, Wish
from k2.retry import POLICY, RetryPolicy, call_with_retry
from k2.settings import Settings

log = structlog.get_logger("k2.jobs")

_LOOK_SECONDS = 0.25  # between two looks at the wish
_PATIENCE_SECONDS = 1.0  # between two tries to reach the registry

T = TypeVar("T")

# Runs work as a step of the engine: its outcome is recorded, and returned in a later run.
RecordStep = Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]]


class StandStill(BaseException):
    """The job stops here because of a pause, a cancellation or the end of the process; this is no failure.

    A BaseException, so that no ``except Exception`` of a kind swallows it and the engine records
    nothing: the step runs again when the job goes on.
    """

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.wish = wish


@dataclass
class JobRun:
    """One run of a job. ``step`` is how a kind does its work; ``checkpoint`` belongs in long steps."""

    id: str
    kind: str
    attempt: int
    settings: Settings
    database: Database
    record: RecordStep
    stopping: threading.Event
    policy: RetryPolicy = POLICY
    on_step_failure: Callable[[str, str], None] = lambda _kind, _error: None
    failed: list[str] = field(default_factory=list)
    done: int = 0
    rows: int = 0
    _looked: float = 0.0

    def step(
        self,
        name: str,
        work: Callable[[], StepResult],
        *,
        may_fail: bool = False,
        policy: RetryPolicy | None = None,
    ) -> StepResult:
        """Run a step once: steps that an earlier run of this job finished are skipped.

        Retryable errors are retried, by the project's policy if no ``policy`` is given. A step that ``may_fail``
        may fail without ending the job, which then ends as partly done.

        Raises:
            StandStill: somebody wants the job to stop.
            K2Error: the work failed for good.
        """
        self.checkpoint(now=True)
        facts = self.record(name, lambda: self._attempt(name, work, may_fail, policy))
        reach("step-recorded")
        self.rows += facts["rows"]
        result = StepResult(
            facts["rows"], StepStatus(facts["status"]), facts["message"], facts["data"]
        )
        if result.status is StepStatus.FAILED:
            self.failed.append(f"{name}: {result.message}")
        else:
            self.done += 1
        return result

    def checkpoint(self, *, now: bool = False) -> None:
        """Stop here if the job is to stop; cheap enough to be called in a loop.

        Raises:
            StandStill: so it is.
        """
        if not now and time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        reach("wish-before-look")
        wish = self._wish()
        reach("wish-looked")
        if wish is not Wish.RUN:
            raise StandStill(wish)
        if self.stopping.is_set():
            raise StandStill(Wish.RUN)

    def should_continue(self) -> bool:
        """Tell whether the job is to go on, for work that can end early by itself."""
        return not self.stopping.is_set() and self._wish() is Wish.RUN

    def wait(self, seconds: float) -> None:
        """Wait, and stop if the job is to stop.

        Raises:
            StandStill: somebody does.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.checkpoint()
            self.stopping.wait(min(left, _LOOK_SECONDS))

    def expect(self, rows: int) -> None:
        """Note the total number of rows, once it is known."""
        self._update("rows_total = :rows", rows=rows)

    def require_all_done(self) -> None:
        """Fail as partly done, or as failed when nothing was done, if a step that goes on failed.

        Raises:
            PartlyDoneError: names the failed steps.
        """
        if not self.failed:
            return
        total = self.done + len(self.failed)
        error = PartlyDoneError(
            f"{len(self.failed)} of {total} steps failed: {'; '.join(self.failed)}"
        )
        if not self.done:
            error.exit_code = 1  # type: ignore[misc]
        raise error

    def _attempt(
        self,
        name: str,
        work: Callable[[], StepResult],
        may_fail: bool,
        policy: RetryPolicy | None,
    ) -> dict[str, Any]:
        attempts = 0  # failed ones

        def count(attempt: int, error: BaseException) -> None:
            nonlocal attempts
            attempts = attempt
            self.on_step_failure(self.kind, type(error).__name__)
            log.warning(
                "job_step_failed",
                job_id=self.id,
                kind=self.kind,
                step=name,
                attempt=attempt,
                error=type(error).__name__,
                reason=str(error),
            )

        def do() -> StepResult:
            reach("step-before-work")
            result = work()
            reach("step-after-work")
            return result

        self._update("active_ms = :now", now=now_ms())
        try:
            result = call_with_retry(
                do, policy=policy or self.policy, sleep=self.wait, on_failure=count
            )
        except Exception as error:
            if not isinstance(error, K2Error):
                log.exception("job_step_broken", job_id=self.id, kind=self.kind, step=name)
            error.attempts = attempts  # type: ignore[attr-defined]
            if not may_fail:
                raise
            facts = json_values.error_facts(error)
            return {
                **{"rows": 0, "status": "failed", "message": facts["message"], "data": {}},
                **{"attempts": attempts, "error_class": json_values.error_class(facts)},
            }
        return {
            **{"rows": result.rows, "status": str(result.status), "message": result.message},
            **{"data": dict(result.data), "attempts": attempts + 1},
        }

    def _wish(self) -> Wish:
        """Read what is requested of the job. If the run is no longer noted, another process has taken over."""

        def look() -> Wish:
            with self.database.reading() as connection:
                found = connection.execute(
                    text(
                        "SELECT wish FROM k2_job JOIN k2_run ON job_id = id"
                        " WHERE id = :id AND attempt = :attempt"
                    ),
                    {"id": self.id, "attempt": self.attempt},
                ).scalar()
            if found is None:
                raise StandStill(Wish.RUN)
            return Wish(found)

        return patiently(look, self.stopping)

    def _update(self, assignment: str, **values: int) -> None:
        def write() -> None:
            with self.database.writing() as connection:
                connection.execute(
                    text(f"UPDATE k2_job SET {assignment} WHERE id = :id"),  # noqa: S608
                    {"id": self.id, **values},
                )

        patiently(write, self.stopping)


def patiently(call: Callable[[], T], stopping: threading.Event) -> T:
    """Return the result of a call to the registry, waiting as long as the registry does not answer.

    Raises:
        StandStill: the process ends before it does.
    """
    while True:
        try:
            return call()
        except RegistryUnavailableError as error:
            log.warning("job_waits_for_registry", reason=str(error))
            if stopping.wait(_PATIENCE_SECONDS):
                raise StandStill(Wish.RUN) from error

"""The model of a job: its states, its steps, and its final report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MAX_SLOWEST = 5


class JobState(StrEnum):
    """The state of a job. It is cancelled or paused only once its work has stopped."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_ended(self) -> bool:
        """Whether nothing happens any more unless somebody asks for a retry."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class Wish(StrEnum):
    """What was requested of a job; its work acts on it at the next step boundary."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class StepStatus(StrEnum):
    """How a step ended."""

    OK = "ok"
    WARNED = "warned"
    FAILED = "failed"


@dataclass(frozen=True)
class StepResult:
    """What the work of a step returns: how many rows, whether all was well, a few facts of JSON."""

    rows: int = 0
    status: StepStatus = StepStatus.OK
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A step that has ended. Times are milliseconds since 1970."""

    number: int
    name: str
    status: StepStatus
    attempts: int
    started_ms: int
    ended_ms: int
    rows: int = 0
    message: str = ""
    error_class: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(self.ended_ms - self.started_ms, 0) / 1000


@dataclass(frozen=True)
class Job:
    """A job as the registry has it. Times are milliseconds since 1970, 0 for not yet.

    ``progress`` is ``rows_done`` of ``rows_total``, 0 for unknown. ``error`` has ``class``,
    ``message``, ``exit_code`` and ``retryable`` once the job has failed.
    """

    id: str
    kind: str
    state: JobState
    wish: Wish
    params: dict[str, Any]
    submitted_ms: int
    started_ms: int
    ended_ms: int
    active_ms: int
    starts: int
    steps_done: int
    rows_done: int
    rows_total: int
    step: str
    request_id: str
    error: dict[str, Any] | None
    result: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as the API and ``--json`` show them."""
        return asdict(self) | {"state": str(self.state), "wish": str(self.wish)}


@dataclass(frozen=True)
class Report:
    """How a job's steps ended: totals by status, the failed, the warned and the slowest."""

    totals: dict[str, int]
    rows: int
    failed: list[Step]
    warned: list[Step]
    slowest: list[Step]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> "Report":
        """Sum the steps up."""
        totals = {str(status): 0 for status in StepStatus}
        for step in steps:
            totals[step.status] += 1
        return cls(
            totals,
            sum(step.rows for step in steps),
            [step for step in steps if step.status is StepStatus.FAILED],
            [step for step in steps if step.status is StepStatus.WARNED],
            sorted(steps, key=lambda step: step.seconds, reverse=True)[:MAX_SLOWEST],
        )

"""The models of the API's requests and answers, from which its reference is generated."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from k2.jobs.model import JobState, StepStatus, Wish


class JobRequest(BaseModel):
    """A job that is asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(description="What to do; GET /v1/kinds lists them.", max_length=100)
    params: dict[str, Any] = Field({}, description="Parameters of the kind.")


class JobOut(BaseModel):
    """A job. Times are milliseconds since 1970, 0 for not yet."""

    id: str
    kind: str
    state: JobState
    wish: Wish = Field(description="What somebody wants of it; acted upon at the next step.")
    params: dict[str, Any]
    submitted_ms: int
    started_ms: int
    ended_ms: int
    active_ms: int = Field(description="When it last did something.")
    starts: int = Field(description="How often it was started, resumed or recovered.")
    steps_done: int
    rows_done: int
    rows_total: int = Field(description="0 for unknown.")
    step: str = Field(description="The last step that ended.")
    request_id: str
    error: dict[str, Any] | None
    result: dict[str, Any] | None


class StepOut(BaseModel):
    """A step that has ended."""

    number: int
    name: str
    status: StepStatus
    attempts: int
    started_ms: int
    ended_ms: int
    rows: int
    message: str
    error_class: str


class ReportOut(BaseModel):
    """How the steps ended."""

    totals: dict[str, int]
    rows: int
    failed: list[StepOut]
    warned: list[StepOut]
    slowest: list[StepOut]


class JobWithReport(JobOut):
    """A job, and how its steps ended so far."""

    report: ReportOut


class JobStatus(BaseModel):
    """The little that a program which waits for a job needs."""

    id: str
    state: JobState
    wish: Wish
    is_ended: bool
    step: str
    steps_done: int
    rows_done: int
    rows_total: int


class JobPage(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobOut]
    next: str | None = Field(description="Give this as `before` for the next page.")


class KindOut(BaseModel):
    """A kind of job."""

    kind: str
    summary: str
    params: dict[str, Any] = Field(description="JSON schema of the parameters.")

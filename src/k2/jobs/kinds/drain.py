"""``drain``: every stream once, until Gold and its bars have all that is in Kafka."""

from typing import Any

from pydantic import Field

from k2.jobs.job_run import JobRun
from k2.jobs.kinds.command_steps import run_command_in_steps
from k2.jobs.kinds.kind import JobKind, JobParams

# The layers, and the bars, in the order of the rows; their own names would bring the tables' libraries.
DRAINED = ("bronze", "silver", "gold", "ohlcv")


class DrainParams(JobParams):
    """How long it may take."""

    timeout_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Give up after so long; what is done stays."
    )


def run_drain(run: JobRun, params: DrainParams) -> dict[str, Any]:
    """Run `k2 drain` as a process of its own, which has a Spark that the service has not."""
    arguments = ["drain", "--here", "--timeout", f"{params.timeout_seconds:f}s"]
    return run_command_in_steps(run, arguments, [*DRAINED, "backlog"])


DRAIN = JobKind(
    "drain",
    "Run every stream once, until Gold and its bars have all that is in Kafka.",
    DrainParams,
    run_drain,
)

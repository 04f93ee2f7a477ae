"""``drain``: every stream once, until Gold and its bars have all that is in Kafka."""

from typing import Any

import orjson
from pydantic import Field

from k2.jobs.job_run import JobRun
from k2.jobs.kinds.command import ONCE, run_command
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.model import StepResult


class DrainParams(JobParams):
    """How long it may take."""

    timeout_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Give up after so long; what is done stays."
    )


def run_drain(run: JobRun, params: DrainParams) -> dict[str, Any]:
    """Run `k2 drain` as a process of its own, which has a Spark that the service has not."""

    def drain() -> StepResult:
        arguments = ["drain", "--here", "--timeout", f"{params.timeout_seconds:f}s", "--json"]
        found = orjson.loads(run_command(run, arguments))
        return StepResult(rows=1, data=found)

    return dict(run.step("drain", drain, policy=ONCE).data)


DRAIN = JobKind(
    "drain",
    "Run every stream once, until Gold and its bars have all that is in Kafka.",
    DrainParams,
    run_drain,
)

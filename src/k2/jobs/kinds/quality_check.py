"""``quality-check``: one quality check over what is new, or all of them, and an event where one fails."""

from datetime import timedelta
from typing import Any

import orjson
import structlog
from pydantic import Field, field_validator

from k2.errors import ConfigError, FailedError
from k2.jobs.job_run import JobRun, patiently
from k2.jobs.kinds.command import run_command
from k2.jobs.kinds.kind import JobKind, JobParams, QueueName
from k2.jobs.model import StepResult, StepStatus
from k2.jobs.outbox import add_fact
from k2.jobs.schedule import ScheduledJob
from k2.settings import Settings

log = structlog.get_logger("k2.quality")

ALL = "all"
VIOLATED = "io.k2.quality.violated"
_MAX_VIOLATIONS, _MAX_KEYS = 20, 5  # that an event names; ops_quality_results has all
_FAILED = 1  # exit code of a check that was violated, or crashed
_NICENESS = 10


class QualityCheckParams(JobParams):
    """Which check."""

    check: str = Field(ALL, max_length=100, description="Name of a check, or all of them.")

    @field_validator("check")
    @classmethod
    def _exists(cls, name: str) -> str:
        from k2.quality.checks.catalogue import check_named

        if name != ALL:
            try:
                check_named(name)
            except ConfigError as error:
                raise ValueError(str(error).removesuffix(".")) from error
        return name


def run_quality_check(run: JobRun, params: QualityCheckParams) -> dict[str, Any]:
    """Run the checks, a step each, in a process that takes its memory with it.

    A violated check is a step that is *warned*, and an event; the job fails where a check crashed.
    """
    from k2.quality.checks.catalogue import CHECKS

    names = [check.name for check in CHECKS] if params.check == ALL else [params.check]
    run.expect(len(names))
    found = {}
    for name in names:

        def check(name: str = name) -> StepResult:
            return _check(run, name)

        found[name] = dict(run.step(f"check {name}", check, may_fail=True).data)
    return {"checks": found}


def _check(run: JobRun, name: str) -> StepResult:
    printed = run_command(
        run, ["quality", "run", name, "--json"], answers=(0, _FAILED), niceness=_NICENESS
    )
    (result,) = orjson.loads(printed)
    if result["status"] == "crashed":
        raise FailedError(f"{name} crashed: {result['findings'][0]['message']}")
    violated = [found for found in result["findings"] if found["status"] != "passed"]
    if violated:
        _tell(run, result, violated)
    return StepResult(
        rows=1,
        status=StepStatus.WARNED if violated else StepStatus.OK,
        message=f"{len(violated)} violated: {violated[0]['message']}" if violated else "",
        data={"status": result["status"], "run_id": result["run_id"], "violated": len(violated)},
    )


def _tell(run: JobRun, result: dict[str, Any], violated: list[dict[str, Any]]) -> None:
    facts = {name: result[name] for name in ("check", "severity", "status", "run_id", "run_at")}
    named = [found | {"keys": found["keys"][:_MAX_KEYS]} for found in violated[:_MAX_VIOLATIONS]]
    data = {**facts, "job": run.id, "count": len(violated), "violations": named}

    def write() -> None:
        with run.database.writing() as connection:
            add_fact(connection, "quality", VIOLATED, str(result["check"]), data)

    patiently(write, run.stopping)
    log.warning("check_violated", **facts, violated=len(violated), message=named[0]["message"])


QUALITY_CHECK = JobKind(
    "quality-check",
    "Run one quality check, or all, over what is new since its last run.",
    QualityCheckParams,
    run_quality_check,
    QueueName.CHECKS,
    kept_days=2.0,  # ops_quality_results has what was found
)


def scheduled_checks(settings: Settings) -> list[ScheduledJob]:
    """Return each check that has a period, as a job that is due so often.

    Raises:
        ConfigError: a period is of a check that does not exist.
    """
    from k2.quality.checks.catalogue import checks_every

    return [
        ScheduledJob(QUALITY_CHECK.name, {"check": check.name}, check.every, check.name)
        for check in checks_every(settings.quality_periods)
        if check.every > timedelta(0)
    ]

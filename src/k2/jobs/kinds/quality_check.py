"""``quality-check``: quality checks over what is new, and an event where one fails."""

from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

import orjson
import structlog
from pydantic import Field, field_validator

from k2.errors import ConfigError, FailedError
from k2.jobs.job_run import JobRun, patiently
from k2.jobs.kinds.command import printed_lines
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
_NICENESS = 19  # the streams' batches go first on every core


class QualityCheckParams(JobParams):
    """Which checks."""

    check: str = Field(
        ALL,
        max_length=500,
        description="Name of a check, or several with commas between them, or all of them.",
    )

    @field_validator("check")
    @classmethod
    def _exists(cls, names: str) -> str:
        from k2.quality.checks.catalogue import check_named

        try:
            for name in _names(names):
                check_named(name)
        except ConfigError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return names


def run_quality_check(run: JobRun, params: QualityCheckParams) -> dict[str, Any]:
    """Run the checks, a step each, in one process that takes its memory with it.

    A violated check is a step that is *warned*, and an event; the job fails where a check crashed.
    """
    names = _names(params.check)
    run.expect(len(names))
    process = _CheckProcess(run, names)
    found = {}
    try:
        for name in names:

            def check(name: str = name) -> StepResult:
                return _result(run, process.result_of(name))

            found[name] = dict(run.step(f"check {name}", check, may_fail=True).data)
    finally:
        process.end()
    return {"checks": found}


def _names(check: str) -> list[str]:
    from k2.quality.checks.catalogue import CHECKS

    names = [check.name for check in CHECKS] if check == ALL else check.split(",")
    return list(dict.fromkeys(names))


class _CheckProcess:
    """Runs checks, one after the other, in a process; in a new one after a check that ended it."""

    def __init__(self, run: JobRun, names: Sequence[str]) -> None:
        self._run, self._names = run, list(names)
        self._printed: Generator[bytes] | None = None

    def result_of(self, name: str) -> dict[str, Any]:
        """Return what a check found; the process goes on with those after it.

        Raises:
            StandStill: somebody wants the job to stop.
            K2Error: the process ended before it had said so.
        """
        if self._printed is None:
            self._printed = self._start(self._names[self._names.index(name) :])
        try:
            return dict(orjson.loads(next(self._printed)))
        except BaseException as error:
            self._printed = None  # it has ended; the next check is for another one
            if isinstance(error, StopIteration):
                raise FailedError(f"{name} ended its process, which said nothing.") from error
            raise

    def end(self) -> None:
        """End the process, if it runs."""
        printed, self._printed = self._printed, None
        if printed is not None:
            printed.close()

    def _start(self, names: list[str]) -> Generator[bytes]:
        arguments = ["quality", "run", *names, "--json-lines"]
        return printed_lines(self._run, arguments, answers=(0, _FAILED), niceness=_NICENESS)


def _result(run: JobRun, result: dict[str, Any]) -> StepResult:
    if result["status"] == "crashed":
        raise FailedError(f"{result['check']} crashed: {result['findings'][0]['message']}")
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
    "Run quality checks over what is new since the last run of each.",
    QualityCheckParams,
    run_quality_check,
    QueueName.CHECKS,
    kept_days=2.0,  # ops_quality_results has what was found
)


def scheduled_checks(settings: Settings) -> list[ScheduledJob]:
    """Return the checks that have a period, those of the same period as one job that is due so often.

    Raises:
        ConfigError: a period is of a check that does not exist.
    """
    from k2.quality.checks.catalogue import checks_every

    together: dict[timedelta, list[str]] = {}
    for check in checks_every(settings.quality_periods):
        if check.every > timedelta(0):
            together.setdefault(check.every, []).append(check.name)
    return [
        ScheduledJob(QUALITY_CHECK.name, {"check": ",".join(names)}, every, ",".join(names))
        for every, names in together.items()
    ]

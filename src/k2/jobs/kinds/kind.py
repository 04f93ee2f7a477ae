"""The interface of a kind of job, and the lookup of kinds."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from k2.errors import ConfigError

if TYPE_CHECKING:
    from k2.jobs.job_run import JobRun


class JobParams(BaseModel):
    """Parameters that every kind has; each kind adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fail_on_nothing: bool = Field(
        True, description="Fail when the job found nothing of what it was asked to do."
    )


class QueueName(StrEnum):
    """The queue in which jobs wait. Checks have their own, because they must run every few minutes even while other
    jobs run for hours.
    """

    JOBS = "jobs"
    CHECKS = "checks"


@dataclass(frozen=True)
class JobKind:
    """A kind of job. ``run`` makes its steps and returns a few facts as the job's result.

    One that went well is kept for ``kept_days`` at most, where that is said: of what comes by the clock.

    A step may run again after a crash: its effect must be the same as if it had run once.
    """

    name: str
    summary: str
    params: type[JobParams]
    run: "Callable[[JobRun, Any], dict[str, Any] | None]"
    queue: QueueName = QueueName.JOBS
    kept_days: float | None = None

    def validated(self, params: Mapping[str, Any]) -> JobParams:
        """Return the parameters, checked.

        Raises:
            ConfigError: one is unknown (names the near ones), missing or out of range.
        """
        try:
            return self.params.model_validate(dict(params))
        except ValidationError as error:
            raise ConfigError(self._sentence(error)) from error

    def _sentence(self, error: ValidationError) -> str:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "its parameters"
        known = list(self.params.model_fields)
        if first["type"] == "extra_forbidden":
            return (
                f"{self.name} has no parameter {name[:60]!r}{near(name, known)}."
                f" It has {', '.join(known)}."
            )
        if first["type"] == "missing":
            return f"{self.name} needs the parameter {name}."
        value = repr(first["input"])[:100]
        return f"{self.name}: {name}={value}: {first['msg'].removeprefix('Value error, ')}."


class JobKinds:
    """The kinds that can be submitted, by name."""

    def __init__(self, kinds: Iterable[JobKind]) -> None:
        """Take the kinds; two of one name are a defect."""
        self._kinds: dict[str, JobKind] = {}
        for kind in kinds:
            if kind.name in self._kinds:
                raise ConfigError(f"There are two kinds of job named {kind.name}.")
            self._kinds[kind.name] = kind

    def named(self, name: str) -> JobKind:
        """Return a kind.

        Raises:
            ConfigError: there is none of that name; names the near ones.
        """
        if name not in self._kinds:
            known = list(self._kinds)
            raise ConfigError(
                f"There is no kind of job {name[:60]!r}{near(name, known)}."
                f" There are {', '.join(known)}."
            )
        return self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[JobKind]:
        return iter(self._kinds.values())


def near(name: str, known: Iterable[str]) -> str:
    """Return a question that names what was perhaps meant; empty where nothing is near."""
    found = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f" (did you mean {' or '.join(found)}?)" if found else ""

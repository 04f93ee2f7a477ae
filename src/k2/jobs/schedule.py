"""Periodic jobs, which the service submits.

Time is divided into intervals of a job's period. In each interval the job is submitted once, under an idempotency
key that names the interval: however many services submit it, and however often they restart, the registry has
one such job. A service that was down submits the job of the current interval and none of the missed ones.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import structlog

from k2.errors import K2Error
from k2.jobs.model import JobState
from k2.periodic import PeriodicTask, Trouble

if TYPE_CHECKING:
    from k2.jobs.registry import Registry

log = structlog.get_logger("k2.jobs")

_LOOK_SECONDS = 1.0
START_SECONDS = 60.0  # after which the first are asked for: a start has other things to do
# Right after a start all are due. Together they would take from the streams what one leaves them.
_APART_SECONDS = 20.0


@dataclass(frozen=True)
class ScheduledJob:
    """A job of a kind that is due ``every`` so often; ``name`` tells it from others."""

    kind: str
    params: Mapping[str, Any]
    every: timedelta
    name: str

    def key(self, now: float, offset: float) -> str:
        """Return the idempotency key of the interval that a time (seconds since 1970) is in."""
        seconds = self.every.total_seconds()
        return f"scheduled.{self.name}.{seconds:g}.{int((now - offset) // seconds)}"


class JobSchedule:
    """Submits the jobs that are due to a registry, from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        registry: "Registry",
        jobs: Sequence[ScheduledJob],
        is_wanted: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Spread the jobs over their periods, so that they do not all come at once."""
        self._registry, self._is_wanted, self._clock = registry, is_wanted, clock
        self._jobs = [
            (job, job.every.total_seconds() * number / len(jobs)) for number, job in enumerate(jobs)
        ]
        self._asked: dict[str, str] = {}
        self._trouble = Trouble(log, "schedule_waits")
        self._begins = clock() + START_SECONDS
        self._last = -inf  # when one was asked for
        self._thread = PeriodicTask("k2-jobs-schedule", _LOOK_SECONDS, self._look)

    def start(self) -> None:
        """Start to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._thread.stop()

    def look_once(self) -> list[str]:
        """Submit the jobs that are due, a little apart; return the ids of the new ones.

        A job is not submitted again while it still runs.

        Raises:
            K2Error: the registry cannot be asked; the next look asks again.
        """
        now, new = self._clock(), []
        for job, offset in self._jobs:
            if 0 <= now - self._last < _APART_SECONDS:  # less than 0 when the clock was set back
                break
            key = job.key(now, offset)
            if self._asked.get(job.name) == key or self._is_under_way(job):
                continue
            submitted = self._registry.submit(job.kind, job.params, key=key)
            self._asked[job.name] = key
            if submitted.is_new:
                self._last = now
                new.append(submitted.job.id)
        return new

    def _is_under_way(self, job: ScheduledJob) -> bool:
        return any(
            found.params.items() >= job.params.items()
            for state in (JobState.QUEUED, JobState.RUNNING)
            for found in self._registry.jobs(state=state, kind=job.kind)
        )

    def _look(self) -> None:
        if self._clock() < self._begins or not self._is_wanted():
            return
        try:
            self.look_once()
        except K2Error as error:
            self._trouble.is_there(error)
        else:
            self._trouble.is_over()

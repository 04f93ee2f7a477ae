"""Fills the holes of a live feed from the exchange's history, or settles them with a reason."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import structlog

from k2.errors import ConfigError, FailedError, K2Error
from k2.exchanges.live import Missing
from k2.feeds.live.holes import Hole, MarketNumbers, ranges_without
from k2.feeds.live.journal import FeedJournal
from k2.feeds.live.refill import Refill
from k2.retry import RetryPolicy

log = structlog.get_logger("k2.feeds")

_GRACE_SECONDS = 2.0  # for what is only out of order
_MAX_HOLE = 20_000  # trades that the feed fetches itself; of more a durable job does, if it can
_PAGE = 1_000  # holes nearer to each other than this are asked for together
_JOB_SECONDS = 5.0  # between two looks at a job
_FAILED_JOB_SECONDS = 300.0  # after which what it was for is asked for again
# The history may lag behind the websocket: what it does not have is asked for again, ever later.
WAITS = RetryPolicy(attempts=6)


class JobOutcome(NamedTuple):
    """What a job could not fetch: ranges of numbers, and why."""

    missing: Sequence[tuple[int, int]]
    reason: str


class RefillJobs(Protocol):
    """Durable jobs that fetch gaps, for what the feed cannot fetch at once."""

    async def submit(self, service: str, missing: Missing, history_url: str) -> str | None:
        """Ask for a job; return its id, or None where nobody runs jobs."""

    async def outcome(self, job: str) -> JobOutcome | None:
        """Return what a job has come to; None while it goes on.

        Raises:
            K2Error: it failed, was cancelled, or is not known.
        """


@dataclass
class GapFiller:
    """Asks for what is missing of ``numbers``, a hole after the other; what comes is taken as it comes.

    Six answers without the trades, over half a minute, are final; no answer is asked again. Where there
    are ``jobs``, a hole that is large, that was there at the start, or of which no answer could be had
    becomes a job.
    """

    service: str
    numbers: Mapping[str, MarketNumbers]
    refill: Refill | None
    journal: FeedJournal
    jobs: RefillJobs | None = None
    began_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    _retry_at: dict[tuple[str, int], float] = field(default_factory=dict)
    _tries: dict[tuple[str, int], int] = field(default_factory=dict)
    _unanswered: dict[tuple[str, int], int] = field(default_factory=dict)
    _looked: float = 0.0

    async def run(self) -> None:
        """Fill holes until cancelled."""
        while True:
            await asyncio.sleep(0.5)
            if self.refill is None:
                continue
            now = time.monotonic()
            for market, hole in self._due(now):
                if not await self._submit(market, hole):
                    await self._fill(market, hole)
            if self.jobs is not None and now - self._looked >= _JOB_SECONDS:
                self._looked = now
                await self._look_at_jobs()

    def _due(self, now: float) -> list[tuple[str, Hole]]:
        """Return what to ask for: the holes that are due, those near each other as one."""
        old_enough = time.time_ns() // 1000 - int(_GRACE_SECONDS * 1e6)
        found: list[tuple[str, Hole]] = []
        for market, known in self.numbers.items():
            together: Hole | None = None
            for hole in known.open_holes():
                is_early = now < self._retry_at.get((market, hole.first), 0)
                if hole.job or hole.found_us > old_enough or is_early:
                    continue
                if together is not None and hole.last - together.first < _PAGE:
                    together.last = hole.last
                    continue
                together = replace(hole)
                found.append((market, together))
        return found

    async def _fill(self, market: str, hole: Hole) -> None:
        assert self.refill is not None  # noqa: S101 — asked before
        first, last = hole.first, min(hole.last, hole.first + _MAX_HOLE - 1)
        key = market, first
        self._tries[key] = self._tries.get(key, 0) + 1
        try:
            await self.refill.fetch(Missing(market, first, last, hole.after_us))
        except (FailedError, ConfigError) as error:
            self._settle(market, first, last, str(error))
            return
        except K2Error as error:
            self._tries[key] = min(self._tries[key], WAITS.attempts - 1)  # it was no answer
            self._unanswered[key] = self._unanswered.get(key, 0) + 1
            self._wait(key)
            log.warning("gap_stays_open", market=market, first=first, last=last, reason=str(error))
            return
        if self.numbers[market].open_within(first, last):
            if self._tries[key] < WAITS.attempts:
                self._wait(key)
            else:  # asked for by number and answered without it: the exchange does not have it
                self._settle(market, first, last, "the exchange's history does not have it")
            return
        self._close(market, first, last)

    async def _submit(self, market: str, hole: Hole) -> bool:
        """Make a job of a hole that is better fetched by one; tell whether it is one now."""
        key = market, hole.first
        is_old = hole.found_us < self.began_us
        if self.jobs is None or not (
            is_old or hole.size > _MAX_HOLE or self._unanswered.get(key, 0) >= WAITS.attempts
        ):
            return False
        assert self.refill is not None  # noqa: S101 — asked before
        missing = Missing(market, hole.first, hole.last, hole.after_us)
        try:
            job = await self.jobs.submit(self.service, missing, self.refill.url)
        except K2Error as error:
            log.warning("refill_job_refused", market=market, reason=str(error)[:200])
            return False
        if job is None:
            return False
        for part in self.numbers[market].open_holes():
            if hole.first <= part.first and part.last <= hole.last:
                part.job = job
        self.journal.write(
            "gap_job", markets=[market], first=hole.first, last=hole.last, reason=job
        )
        return True

    async def _look_at_jobs(self) -> None:
        assert self.jobs is not None  # noqa: S101 — asked before
        by_job: dict[str, list[tuple[str, Hole]]] = {}
        for market, known in self.numbers.items():
            for hole in known.open_holes():
                if hole.job:
                    by_job.setdefault(hole.job, []).append((market, hole))
        for job, holes in by_job.items():
            try:
                outcome = await self.jobs.outcome(job)
            except K2Error as error:
                log.warning("refill_job_failed", job=job, reason=str(error)[:200])
                for market, hole in holes:
                    hole.job, hole.found_us = "", max(hole.found_us, self.began_us)
                    self._clear(market, hole.first)
                    self._retry_at[market, hole.first] = time.monotonic() + _FAILED_JOB_SECONDS
                continue
            if outcome is not None:
                self._take_outcome(holes, outcome)

    def _take_outcome(self, holes: Sequence[tuple[str, Hole]], outcome: JobOutcome) -> None:
        """Note what a job fetched and what not; it has told the journal itself."""
        for market, hole in holes:
            known = self.numbers[market]
            known.fill(hole.first, hole.last)
            for first, last in outcome.missing:
                first, last = max(first, hole.first), min(last, hole.last)
                if first <= last:
                    known.add(replace(hole, first=first, last=last, job=""))
                    known.settle(first, last, outcome.reason)

    def _wait(self, key: tuple[str, int]) -> None:
        self._retry_at[key] = time.monotonic() + WAITS.delay_seconds(self._tries[key])

    def _close(self, market: str, first: int, last: int) -> None:
        self._clear(market, first)
        self.journal.write("gap_closed", markets=[market], first=first, last=last)
        log.info("gap_filled", market=market, first=first, last=last)

    def _settle(self, market: str, first: int, last: int, reason: str) -> None:
        """Note that what is still missing of a range is so for good, and that the rest came."""
        self._clear(market, first)
        gone = self.numbers[market].open_within(first, last)
        self.numbers[market].settle(first, last, reason)
        for begin, end in gone:
            self.journal.write("gap_final", markets=[market], first=begin, last=end, reason=reason)
            log.error("gap_final", market=market, first=begin, last=end, reason=reason[:200])
        for begin, end in ranges_without(gone, first, last):
            self.journal.write("gap_closed", markets=[market], first=begin, last=end)

    def _clear(self, market: str, first: int) -> None:
        for kept in (self._retry_at, self._tries, self._unanswered):
            kept.pop((market, first), None)

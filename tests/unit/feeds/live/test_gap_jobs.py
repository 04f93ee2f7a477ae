"""Gaps that a feed does not fetch itself become durable jobs, and what these come to is known."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from k2.errors import FailedError, UnavailableError
from k2.exchanges.live import History, Missing
from k2.feeds.live import gap_filler
from k2.feeds.live.gap_filler import GapFiller, JobOutcome
from k2.feeds.live.holes import FINAL, OPEN, Hole, MarketNumbers
from k2.feeds.live.journal import FeedJournal
from k2.feeds.live.refill import Refill
from k2.retry import RetryPolicy

pytestmark = pytest.mark.unit

LONG_AGO = 1_000_000


class Jobs:
    """Keeps what was asked of it; ``outcome_of`` says what becomes of the job."""

    def __init__(self, outcome_of: Callable[[str], JobOutcome | None], served: bool = True) -> None:
        self.asked: list[Missing] = []
        self._outcome_of, self._served = outcome_of, served

    async def submit(self, service: str, missing: Missing, history_url: str) -> str | None:
        if not self._served:
            return None
        self.asked.append(missing)
        return f"job-{len(self.asked)}"

    async def outcome(self, job: str) -> JobOutcome | None:
        return self._outcome_of(job)


class Scene:
    """A market with one hole, and the filler that looks after it."""

    def __init__(self, hole: Hole, jobs: Jobs, began_us: int = 0) -> None:
        self.events: list[str] = []
        self.fetched: list[Missing] = []
        self.numbers = {"M": MarketNumbers(100_000, 0, [hole])}
        self.answers = True
        journal = FeedJournal("kraken", "kraken", lambda _record: None)
        journal.write = lambda event, **_facts: self.events.append(event)  # type: ignore[method-assign]
        history = History("", "", 0.0, self._fetch, self._newest)
        refill = Refill(history, "http://x", lambda _m, _t: None, httpx.AsyncClient())
        self.filler = GapFiller("kraken", self.numbers, refill, journal, jobs, began_us)

    async def _fetch(self, _get: Any, missing: Missing) -> Any:
        self.fetched.append(missing)
        if not self.answers:
            raise UnavailableError("no answer")
        self.numbers["M"].take(missing.first, missing.last, 0, 0)
        return
        yield b""

    async def _newest(self, _get: Any, _market: str) -> bytes | None:
        return None

    def run(self, until: Callable[[], object], seconds: float = 10.0) -> "Scene":
        async def run() -> None:
            task = asyncio.ensure_future(self.filler.run())
            end = time.monotonic() + seconds
            while not until() and time.monotonic() < end:
                await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(run())
        assert until()
        return self

    @property
    def holes(self) -> list[tuple[int, int, str]]:
        return [(hole.first, hole.last, hole.state) for hole in self.numbers["M"].holes]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_filler, "_JOB_SECONDS", 0.1)
    monkeypatch.setattr(gap_filler, "WAITS", RetryPolicy(2, 0.01, 0.02))


def nothing_missing(_job: str) -> JobOutcome:
    return JobOutcome([], "")


def test_a_small_new_hole_is_fetched_at_once() -> None:
    jobs = Jobs(nothing_missing)

    scene = Scene(Hole(1, 10, 0, LONG_AGO), jobs)
    scene.run(lambda: not scene.holes)

    assert (jobs.asked, scene.events) == ([], ["gap_closed"])


@pytest.mark.parametrize(
    ("hole", "began_us"),
    [(Hole(1, 50_000, 7, LONG_AGO), 0), (Hole(1, 10, 7, LONG_AGO), LONG_AGO + 1)],
    ids=["a large one", "one from before the start"],
)
def test_a_hole_becomes_a_job_that_fills_it(hole: Hole, began_us: int) -> None:
    jobs = Jobs(nothing_missing)

    scene = Scene(hole, jobs, began_us)
    scene.run(lambda: not scene.holes)

    assert jobs.asked == [Missing("M", 1, hole.last, 7)]
    assert (scene.fetched, scene.events) == ([], ["gap_job"])


def test_what_a_job_could_not_fetch_is_final_and_the_rest_is_there() -> None:
    scene = Scene(Hole(1, 50_000, 0, LONG_AGO), Jobs(lambda _job: JobOutcome([(5, 9)], "gone")))

    scene.run(lambda: scene.holes != [(1, 50_000, OPEN)])

    assert scene.holes == [(5, 9, FINAL)]
    assert scene.numbers["M"].holes[0].reason == "gone"


def test_a_hole_without_any_answer_becomes_a_job_in_the_end() -> None:
    jobs = Jobs(lambda _job: None)
    scene = Scene(Hole(1, 10, 0, LONG_AGO), jobs)
    scene.answers = False

    scene.run(lambda: jobs.asked)

    assert len(scene.fetched) == 2
    assert scene.numbers["M"].holes[0].job == "job-1"


def test_where_nobody_runs_jobs_the_feed_fetches_itself() -> None:
    scene = Scene(Hole(1, 50_000, 0, LONG_AGO), Jobs(nothing_missing, served=False))

    scene.run(lambda: not scene.holes)

    assert [m.last - m.first + 1 for m in scene.fetched] == [20_000, 20_000, 10_000]


def test_a_job_that_failed_leaves_the_hole_open_for_later() -> None:
    def failed(_job: str) -> JobOutcome:
        raise FailedError("the service was stopped")

    jobs = Jobs(failed)
    scene = Scene(Hole(1, 10, 0, LONG_AGO), jobs, LONG_AGO + 1)

    scene.run(lambda: jobs.asked and not scene.numbers["M"].holes[0].job)

    assert scene.holes == [(1, 10, OPEN)]
    assert scene.filler._due(time.monotonic()) == []
    assert scene.filler._due(time.monotonic() + 600) != []

"""Bars made again by a job, day by day: what is right stays as it is, and what is wrong is replaced and counted."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from k2.bars import processor
from k2.bars.table import GOLD_OHLCV
from k2.home.locks import exclusive
from k2.jobs.kinds import KINDS
from k2.jobs.model import Job, JobState
from k2.settings import Settings
from k2.storage.delta import open_table
from tests.support.jobs import engine_of, run_to_end, wait_for_state
from tests.support.stored_rows import store_gold

pytestmark = pytest.mark.unit

FIRST = datetime(2026, 7, 7, 9, 0, 10, tzinfo=UTC)
LENGTHS = 5  # bars of a trade that is alone in its day
# With the bars of the day before, which are final from then on.
MADE = {"2026-07-07": LENGTHS, "2026-07-08": 2 * LENGTHS, "2026-07-10": 2 * LENGTHS}


@pytest.fixture
def home(settings: Settings) -> Settings:
    """A home with a trade on each of three days."""
    store_gold(settings.lake, *({"timestamp": FIRST + timedelta(days=n)} for n in (0, 1, 3)))
    return settings


def rebuilt(settings: Settings, **params: Any) -> Job:
    """Run a job to its end."""
    with engine_of(settings, KINDS) as engine:
        return run_to_end(engine, "rebuild-bars", params)


def bars(settings: Settings) -> Any:
    table = open_table(settings.lake, GOLD_OHLCV)
    assert table is not None
    return table


def test_bars_that_are_missing_are_made_a_step_a_day_and_are_right_the_next_time(
    home: Settings,
) -> None:
    first, again = rebuilt(home), rebuilt(home)

    assert first.result == {"days": 3, "replaced": MADE}
    assert (first.steps_done, first.rows_done, first.rows_total) == (4, 3, 3)
    assert again.result == {"days": 3, "replaced": {}}
    assert bars(home).to_pyarrow_table().num_rows == 3 * LENGTHS


def test_a_bar_that_somebody_changed_is_replaced_and_its_day_named(home: Settings) -> None:
    rebuilt(home)
    wrong = "timeframe = '1h' and bar_date = '2026-07-08'"
    bars(home).update(updates={"trade_count": "99"}, predicate=wrong)

    job = rebuilt(home)

    assert job.result == {"days": 3, "replaced": {"2026-07-08": 1}}
    assert set(bars(home).to_pyarrow_table()["trade_count"].to_pylist()) == {1}


def test_a_home_without_gold_has_nothing_to_do_which_fails_unless_that_may_be(
    settings: Settings,
) -> None:
    refused, allowed = rebuilt(settings), rebuilt(settings, fail_on_nothing=False)

    assert refused.error is not None
    assert "rebuild-bars found nothing to do" in refused.error["message"]
    assert allowed.result == {"days": 0, "replaced": {}}


def test_bars_are_not_rebuilt_beside_the_stream_that_writes_them(home: Settings) -> None:
    with exclusive(home.run / "locks", [GOLD_OHLCV.name], "stream ohlcv"):
        job = rebuilt(home)

    assert job.error is not None
    assert "gold_ohlcv is in use by stream ohlcv" in job.error["message"]
    assert open_table(home.lake, GOLD_OHLCV) is None


def test_a_paused_rebuild_goes_on_with_the_days_that_it_listed(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_at_work, goes_on = threading.Event(), threading.Event()
    rebuild: Callable[..., Any] = processor.rebuild
    done_days = []

    def slow(settings: Settings, days: Any) -> Any:
        done_days.extend(days)
        is_at_work.set()
        assert goes_on.wait(30)
        return rebuild(settings, days)

    monkeypatch.setattr(processor, "rebuild", slow)
    with engine_of(home, KINDS) as engine:
        job = engine.registry.submit("rebuild-bars", {}).job
        assert is_at_work.wait(30)
        engine.registry.pause(job.id)
        goes_on.set()
        paused = wait_for_state(engine.registry, job.id, JobState.PAUSED)
        store_gold(home.lake, {"timestamp": FIRST + timedelta(days=9)})
        engine.registry.resume(job.id)
        done = wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    assert paused.rows_done == 1
    assert [day.isoformat() for day in done_days] == list(MADE)
    assert done.result == {"days": 3, "replaced": MADE}

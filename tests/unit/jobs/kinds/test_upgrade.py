"""A home of an older version upgraded by a job, in a process of its own: its steps and its result are the job's."""

from pathlib import Path
from typing import Any

import pytest

from k2.exchanges import EXCHANGES
from k2.jobs.engine import JobEngine
from k2.jobs.kinds import KINDS
from k2.jobs.model import Job, JobState, Step
from k2.settings import Settings
from k2.storage.delta import open_table
from k2.topology import all_tables
from tests.support.jobs import engine_of, run_to_end
from tests.support.old_home import unpack_old_home

pytestmark = pytest.mark.unit

PARTS = [*(f"silver-{exchange.name}" for exchange in EXCHANGES), "gold", "ohlcv", "proof"]


def upgraded(engine: JobEngine, **params: Any) -> tuple[Job, list[Step]]:
    """Run a job to its end."""
    done = run_to_end(engine, "upgrade", params)
    return done, engine.registry.steps(done.id)


def versions(settings: Settings) -> dict[str, int]:
    stored = {table.name: open_table(settings.lake, table) for table in all_tables()}
    return {name: table.version() for name, table in stored.items() if table is not None}


def test_a_dry_run_builds_every_table_and_says_what_would_change_and_changes_none(
    tmp_path: Path,
) -> None:
    home = unpack_old_home(tmp_path)
    before = versions(home)

    with engine_of(home, KINDS) as engine:
        job, steps = upgraded(engine, dry_run=True)

    assert job.state is JobState.COMPLETED
    assert [step.name for step in steps] == PARTS
    assert all(step.rows for step in steps[:-1])
    assert job.result is not None
    assert not job.result["upgraded"]
    changed = {found["table"]: found["changed"] for found in job.result["differences"]}
    assert "symbol" in changed["silver_binance_trades"]
    assert versions(home) == before


def test_a_home_that_is_of_today_has_nothing_to_upgrade_which_fails_unless_that_may_be(
    settings: Settings,
) -> None:
    with engine_of(settings, KINDS) as engine:
        refused, _ = upgraded(engine)
        allowed, steps = upgraded(engine, fail_on_nothing=False, keep_old=True)

    assert refused.error is not None
    assert "upgrade found nothing to do" in refused.error["message"]
    assert allowed.result == {"upgraded": False, "tables": []}
    assert [step.name for step in steps] == [*PARTS, "swap"]

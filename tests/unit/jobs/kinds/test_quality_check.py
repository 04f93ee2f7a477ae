"""Quality checks as jobs, each in a process of its own: what they find, and what they tell."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from k2.errors import ConfigError
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.kinds.quality_check import QUALITY_CHECK, VIOLATED
from k2.jobs.model import JobState, Report
from k2.jobs.outbox import events_about
from k2.quality.results import read_results
from k2.settings import Settings
from tests.support.jobs import QUICK, wait_for_state
from tests.support.stored_rows import store_gold

LONG_AGO = datetime.now(UTC) - timedelta(minutes=10)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobEngine]:
    home = tmp_path_factory.mktemp("checked")
    (home / "lake").mkdir()
    options = EngineOptions(poll_seconds=0.05, policy=QUICK)
    with JobEngine(Settings.load(home=home), JobKinds([QUALITY_CHECK]), options) as running:
        yield running


def violations(engine: JobEngine, check: str) -> list[dict[str, object]]:
    with engine.database.reading() as connection:
        return [event.data for event in events_about(connection, check) if event.type == VIOLATED]


@pytest.fixture(scope="module")
def jobs(engine: JobEngine) -> dict[str, str]:
    """Of an exchange that fell silent and a table that cannot be read: checks, run side by side."""
    store_gold(engine.settings.lake, {"kafka_timestamp": LONG_AGO})
    log = engine.settings.lake / "silver_binance_trades" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no commit")
    names = ("freshness", "late-data", "duplicates")
    return {n: engine.registry.submit("quality-check", {"check": n}).job.id for n in names}


def test_a_violated_check_is_a_warned_step_and_an_event(
    engine: JobEngine, jobs: dict[str, str]
) -> None:
    done = wait_for_state(engine.registry, jobs["freshness"], JobState.COMPLETED)

    (step,) = Report.of(engine.registry.steps(done.id)).warned
    assert step.name == "check freshness"
    assert done.result is not None
    found = done.result["checks"]["freshness"]
    (event,) = violations(engine, "freshness")
    assert (event["run_id"], event["job"]) == (found["run_id"], done.id)
    assert "no trade of Binance" in str(event["violations"])
    stored = read_results(engine.settings.lake, LONG_AGO, "freshness").to_pylist()
    assert {row["run_id"] for row in stored} == {found["run_id"]}


def test_a_check_that_is_met_completes_and_tells_nobody(
    engine: JobEngine, jobs: dict[str, str]
) -> None:
    done = wait_for_state(engine.registry, jobs["late-data"], JobState.COMPLETED)

    assert done.rows_done == 1
    assert violations(engine, "late-data") == []


def test_a_check_that_crashes_fails_its_job(engine: JobEngine, jobs: dict[str, str]) -> None:
    failed = wait_for_state(engine.registry, jobs["duplicates"], JobState.FAILED)

    assert failed.error is not None
    assert "duplicates crashed: " in failed.error["message"]
    assert violations(engine, "duplicates") == []


def test_a_check_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="No check 'freshnes'; there are dead-letters"):
        QUALITY_CHECK.validated({"check": "freshnes"})

"""Quality checks as jobs, each in a process of its own: what they find, and what they tell."""

from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from k2.errors import ConfigError, FailedError
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.job_run import JobRun
from k2.jobs.kinds import quality_check
from k2.jobs.kinds.kind import JobKinds
from k2.jobs.kinds.quality_check import QUALITY_CHECK, VIOLATED
from k2.jobs.model import Job, JobState, Report, StepStatus
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


@pytest.fixture(scope="module")
def together(engine: JobEngine, jobs: dict[str, str]) -> Job:
    """The same checks in one job, the one that crashes between the two others."""
    names = "freshness,duplicates,late-data"
    submitted = engine.registry.submit("quality-check", {"check": names})
    return wait_for_state(engine.registry, submitted.job.id, JobState.FAILED)


def test_checks_of_one_job_each_have_a_step_and_a_crashed_one_takes_none_with_it(
    engine: JobEngine, together: Job
) -> None:
    steps = {step.name: step for step in engine.registry.steps(together.id)}

    assert list(steps) == ["check freshness", "check duplicates", "check late-data"]
    assert [step.status for step in steps.values()][1:] == [StepStatus.FAILED, StepStatus.OK]
    assert "duplicates crashed: " in steps["check duplicates"].message
    assert together.error is not None
    assert "1 of 3 steps failed: check duplicates" in together.error["message"]


def test_each_check_of_one_job_keeps_a_verdict_of_its_own(engine: JobEngine, together: Job) -> None:
    stored = read_results(engine.settings.lake, LONG_AGO).to_pylist()

    runs = {row["run_id"]: (row["check"], row["status"]) for row in stored}
    assert (
        sum(check == "duplicates" and status == "crashed" for check, status in runs.values()) == 2
    )
    assert sum(check == "late-data" and status == "passed" for check, status in runs.values()) == 2


class DyingProcess:
    """Stands for the process of the checks, which the second of them ends."""

    def __init__(self) -> None:
        self.started_with: list[list[str]] = []

    def __call__(self, run: JobRun, arguments: list[str], **_: object) -> Generator[bytes]:
        names = arguments[2:-1]
        self.started_with.append(names)
        for name in names:
            if name == "duplicates":
                raise FailedError("it ended with -9 and printed nothing")
            yield orjson.dumps({"check": name, "status": "passed", "run_id": name, "findings": []})


def test_a_check_that_ends_the_process_is_failed_and_the_next_ones_have_a_new_process(
    engine: JobEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = DyingProcess()
    monkeypatch.setattr(quality_check, "printed_lines", process)
    names = "freshness,duplicates,late-data,prices"
    submitted = engine.registry.submit("quality-check", {"check": names})

    failed = wait_for_state(engine.registry, submitted.job.id, JobState.FAILED)

    statuses = [step.status for step in engine.registry.steps(failed.id)]
    ok, bad = StepStatus.OK, StepStatus.FAILED
    assert statuses == [ok, bad, ok, ok]
    assert process.started_with == [names.split(","), ["late-data", "prices"]]


def test_a_process_that_says_nothing_of_a_check_fails_it_by_name(
    engine: JobEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> Generator[bytes]:
        yield from ()

    monkeypatch.setattr(quality_check, "printed_lines", silent)
    submitted = engine.registry.submit("quality-check", {"check": "freshness,prices"})

    failed = wait_for_state(engine.registry, submitted.job.id, JobState.FAILED)

    assert failed.error is not None
    assert "freshness ended its process, which said nothing" in failed.error["message"]
    assert "prices ended its process" in failed.error["message"]


def test_one_check_of_several_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="No check 'price'"):
        QUALITY_CHECK.validated({"check": "freshness,price"})


def test_a_check_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="No check 'freshnes'; there are dead-letters"):
        QUALITY_CHECK.validated({"check": "freshnes"})

"""The drill: a defect of each kind is planted, and reported once, by the check that is for it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from k2.quality.check_run import CheckRun
from k2.quality.checks.catalogue import CHECKS
from k2.quality.checks.check import Check, Finding, Severity
from k2.quality.drill.defects import DRILL, FURTHER, Defect
from k2.quality.drill.drill import MAX_DETECTION, Trial, run_drill
from k2.quality.drill.planted_lake import EXCHANGES, NOW, PlantedLake
from k2.quality.results import read_results
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings
from tests.support.planted import healthy_lake

pytestmark = pytest.mark.unit

MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake(settings: Settings) -> PlantedLake:
    return healthy_lake(settings)


def run_all(lake: PlantedLake, minutes: float = 0) -> dict[str, CheckRun]:
    now = NOW + minutes * MINUTE
    lake.write_until(now)
    runner = CheckRunner(lake.settings, EXCHANGES, lambda: now)
    return {check.name: runner.run(check) for check in CHECKS}


def violated(runs: dict[str, CheckRun]) -> dict[str, Any]:
    return {
        name: run.error or [finding.message for finding in run.violations]
        for name, run in runs.items()
        if run.status != "passed"
    }


def test_a_healthy_lake_passes_every_check(lake: PlantedLake) -> None:
    assert violated(run_all(lake)) == {}
    assert violated(run_all(lake, 6)) == {}


def test_the_drill_plants_the_seven_defects_and_each_has_a_check() -> None:
    assert [defect.name for defect in DRILL] == [
        "bad-records",
        "silent-market",
        "resent-trades",
        "missing-range",
        "deleted-row",
        "doubled-row",
        "clock-step",
    ]
    assert {defect.check for defect in (*DRILL, *FURTHER)} <= {check.name for check in CHECKS}


def test_each_defect_is_reported_once_by_its_check_within_five_minutes(tmp_path: Path) -> None:
    trials = list(run_drill(tmp_path, rounds=1))

    assert [trial.defect for trial in trials] == list(DRILL)
    assert {
        trial.defect.name: (trial.detection, trial.others) for trial in trials if not trial.holds
    } == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_detection_takes_at_most_five_minutes_whenever_a_defect_is_planted(tmp_path: Path) -> None:
    trials = list(run_drill(tmp_path, rounds=3))

    assert {trial.defect.name for trial in trials if not trial.holds} == set()


def test_a_drill_whose_check_sees_nothing_does_not_hold(tmp_path: Path) -> None:
    harmless = replace(DRILL[0], plant=lambda lake, at: None)

    (trial,) = run_drill(tmp_path, 1, [harmless])

    assert trial.detection is None
    assert not trial.holds


def test_a_defect_that_is_reported_late_or_twice_does_not_hold() -> None:
    wanted = (DRILL[0].check, DRILL[0].exchange.name, "")

    late = Trial(DRILL[0], NOW, [(wanted, MAX_DETECTION + MINUTE)])
    twice = Trial(DRILL[0], NOW, [(wanted, MINUTE), (wanted, 2 * MINUTE)])

    assert not late.holds
    assert not twice.holds


@pytest.mark.parametrize("defect", FURTHER, ids=[defect.name for defect in FURTHER])
def test_further_defects_are_told_of_by_the_check_that_is_for_them(
    defect: Defect, lake: PlantedLake
) -> None:
    run_all(lake)

    defect.plant(lake, NOW)
    runs = run_all(lake, 20)

    assert set(violated(runs)) == {defect.check}, violated(runs)
    assert defect.exchange.name in {found.exchange for found in runs[defect.check].violations}


def test_a_run_looks_only_at_what_is_new(lake: PlantedLake) -> None:
    run_all(lake)
    DRILL[0].plant(lake, NOW)

    letters = [run_all(lake, minutes)["dead-letters"] for minutes in (5, 10, 15)]

    assert [run.status for run in letters] == ["failed", "passed", "passed"]
    totals = [next(f.total for f in run.findings if f.exchange == "kraken") for run in letters]
    assert totals[2] < totals[0]


def test_a_check_that_crashes_has_failed_and_is_run_over_the_same_again(lake: PlantedLake) -> None:
    def crash(*_: object) -> list[Finding]:
        raise RuntimeError("no such thing")

    broken = Check("broken", "x", Severity.ERROR, timedelta(minutes=5), crash)
    runner = CheckRunner(lake.settings, EXCHANGES, lambda: NOW)

    run = runner.run(broken)

    assert run.status == "crashed"
    assert "no such thing" in run.error
    assert runner.due([broken]) == [broken]


def test_every_run_is_kept_findings_or_none(lake: PlantedLake) -> None:
    runs = run_all(lake)

    kept = read_results(lake.settings.lake, NOW - timedelta(hours=1))

    assert set(kept["check"].to_pylist()) == set(runs)
    assert set(kept["status"].to_pylist()) == {"passed"}
    assert kept.num_rows == sum(max(len(run.findings), 1) for run in runs.values())


def test_a_check_is_due_when_its_time_is_over(lake: PlantedLake) -> None:
    run_all(lake)
    runner = CheckRunner(lake.settings, EXCHANGES, lambda: NOW + timedelta(minutes=6))

    due = {check.name for check in runner.due(CHECKS)}

    assert "dead-letters" in due
    assert not due & {"late-data", "balance-full"}


def test_who_asks_every_five_minutes_may_be_a_moment_early(lake: PlantedLake) -> None:
    run_all(lake)
    runner = CheckRunner(lake.settings, EXCHANGES, lambda: NOW + timedelta(seconds=297))

    assert "dead-letters" in {check.name for check in runner.due(CHECKS)}


def test_an_empty_home_has_nothing_to_complain_of(settings: Settings) -> None:
    runner = CheckRunner(settings, EXCHANGES, lambda: NOW)

    assert {runner.run(check).status for check in CHECKS} == {"passed"}

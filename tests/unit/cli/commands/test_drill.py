"""``k2 drill``: the table of defects, and its exit code."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from k2.cli.app import app_of
from k2.cli.commands import drill
from k2.errors import FailedError
from k2.quality.drill.defects import DRILL
from k2.quality.drill.drill import Trial
from k2.quality.drill.planted_lake import NOW

pytestmark = pytest.mark.unit


def trial(minutes: float, *others: tuple[str, str, str], number: int = 0) -> Trial:
    made = Trial(DRILL[number], NOW)
    made.incidents = [(made.wanted, timedelta(minutes=minutes))]
    made.incidents += [(other, timedelta(minutes=minutes)) for other in others]
    return made


def ask(monkeypatch: pytest.MonkeyPatch, trials: list[Trial], *arguments: str) -> Result:
    def run_drill(scratch: Path, rounds: int) -> Iterator[Any]:
        assert scratch.name.startswith("k2-drill-")  # nothing of this home
        yield from trials

    monkeypatch.setattr(drill, "run_drill", run_drill)
    app = app_of("drill", drill.drill_command)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def test_each_defect_is_shown_with_its_check_and_the_spread_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = ask(monkeypatch, [trial(1), trial(4), trial(2), trial(3, number=1)])

    assert answer.exit_code == 0
    (line,) = [line for line in answer.stdout.splitlines() if "dead-letters" in line]
    assert line.split("dead-letters")[1].split()[:4] == ["3/3", "60", "120", "240"]
    assert max(map(len, answer.stdout.splitlines())) <= 80


def test_programs_get_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(monkeypatch, [trial(4), trial(1)], "--json")

    (row,) = json.loads(answer.stdout[answer.stdout.index("[") :])
    assert (row["defect"], row["check"], row["holds"]) == ("bad-records", "dead-letters", True)
    assert row["seconds"] == [60.0, 240.0]


@pytest.mark.parametrize(
    "trials",
    [[trial(6)], [trial(1, ("prices", "kraken", ""))], [Trial(DRILL[0], NOW)]],
    ids=["late", "by another check too", "not at all"],
)
def test_a_defect_that_is_not_reported_once_in_time_fails(
    monkeypatch: pytest.MonkeyPatch, trials: list[Trial]
) -> None:
    answer = ask(monkeypatch, trials)

    assert isinstance(answer.exception, FailedError)
    assert "within 5 minutes: bad-records" in str(answer.exception)

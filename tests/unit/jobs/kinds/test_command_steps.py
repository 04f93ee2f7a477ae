"""The steps that a command prints become steps of its job, also where it begins again or passes some over."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest

from k2.errors import FailedError, UnavailableError
from k2.jobs.job_run import JobRun
from k2.jobs.kinds import command_steps
from k2.jobs.kinds.command_steps import run_command_in_steps
from k2.jobs.model import StepResult

STEPS = ("bronze", "silver", "gold", "backlog")


@dataclass
class Run:
    """A job's run; steps that ``recorded`` has were done before it."""

    recorded: dict[str, StepResult] = field(default_factory=dict)

    def step(self, name: str, work: Callable[[], StepResult], **_: object) -> StepResult:
        if name not in self.recorded:
            self.recorded[name] = work()
        return self.recorded[name]

    @property
    def rows(self) -> dict[str, int]:
        return {name: result.rows for name, result in self.recorded.items()}


def printed(*lines: dict[str, Any], fails: Exception | None = None) -> Callable[..., Any]:
    def printed_lines(_run: object, _arguments: Sequence[str]) -> Generator[bytes]:
        for line in lines:
            yield orjson.dumps(line)
        if fails is not None:
            raise fails

    return printed_lines


def step(name: str, rows: int) -> dict[str, Any]:
    return {"step": name, "rows": rows}


@pytest.fixture
def run_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    def go(run: Run, command: Callable[..., Any]) -> dict[str, Any]:
        monkeypatch.setattr(command_steps, "printed_lines", command)
        return run_command_in_steps(cast("JobRun", run), ["drain"], STEPS)

    return go


ALL = (step("bronze", 7), step("silver", 6), step("gold", 5), {"result": {"drained": True}})


def test_each_step_of_the_command_is_a_step_with_its_rows(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    run = Run()

    found = run_steps(run, printed(*ALL))

    assert found == {"drained": True}
    assert run.rows == {"bronze": 7, "silver": 6, "gold": 5, "backlog": 0}


def test_lines_after_the_result_are_none_of_a_step(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    run = Run()

    found = run_steps(run, printed(*ALL, step("silver", 99)))

    assert found == {"drained": True}
    assert run.rows["silver"] == 6


def test_a_command_that_begins_again_does_not_count_its_first_steps_twice(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    run = Run({"bronze": StepResult(7), "silver": StepResult(6)})
    again = (step("bronze", 0), step("silver", 0), *ALL[2:])

    run_steps(run, printed(*again))

    assert run.rows == {"bronze": 7, "silver": 6, "gold": 5, "backlog": 0}


def test_steps_that_the_command_passes_over_have_no_rows(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    run = Run()

    run_steps(run, printed(step("silver", 6), ALL[-1]))

    assert run.rows == {"bronze": 0, "silver": 6, "gold": 0, "backlog": 0}


def test_a_command_that_fails_in_a_step_leaves_those_before_it_done(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    run = Run()

    with pytest.raises(UnavailableError, match="Not drained in time"):
        run_steps(run, printed(ALL[0], fails=UnavailableError("Not drained in time")))

    assert run.rows == {"bronze": 7}


def test_a_command_that_ends_without_a_result_fails_the_job(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    with pytest.raises(FailedError, match="`k2 drain` ended without a result"):
        run_steps(Run(), printed(*ALL[:-1]))


def test_a_command_that_fails_after_its_result_fails_the_job(
    run_steps: Callable[..., dict[str, Any]],
) -> None:
    run = Run()

    with pytest.raises(FailedError, match="exit 134"):
        run_steps(run, printed(*ALL, fails=FailedError("exit 134")))

    assert "backlog" not in run.recorded

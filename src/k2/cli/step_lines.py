"""How a command that a job runs tells of its steps: a line of JSON each, and one with the result."""

from dataclasses import dataclass
from typing import Any

import orjson
import typer
from rich.status import Status


@dataclass(frozen=True)
class StepLines:
    """Tells a person by a spinner how far a command is, and a job which steps have ended.

    The job records them under the same names (:mod:`k2.jobs.kinds.command_steps`).
    """

    spinner: Status
    for_job: bool = False

    def update(self, text: str) -> None:
        """Say what is being done."""
        self.spinner.update(text)

    def ended(self, step: str, rows: int) -> None:
        """Tell that a step has ended, and how many rows it took."""
        if self.for_job:
            _print({"step": step, "rows": rows})


def print_result(found: dict[str, Any]) -> None:
    """Tell the result, after the last step."""
    _print({"result": found})


def _print(content: dict[str, Any]) -> None:
    typer.echo(orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS))

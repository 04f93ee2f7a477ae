"""``k2 drill``: plant defects in a scratch home, and see whether the quality checks report them."""

import tempfile
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from k2.cli.render.printing import print_json, print_table
from k2.errors import FailedError
from k2.observability.logs import configure_logs
from k2.quality.drill.drill import MAX_DETECTION, Trial, run_drill
from k2.settings import Settings


def drill_command(
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="How often each defect is planted.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Plant defects in tables of a scratch home, and report which check found each, and when.

    Nothing of this home is touched. The clock of the drill is made: a drill of an hour takes seconds.
    Exits with 1 when a defect is not reported once, by the right check, within five minutes.
    """
    with tempfile.TemporaryDirectory(prefix="k2-drill-") as folder:
        scratch = Path(folder)
        configure_logs(Settings.load(home=scratch / "logs", log_level="error"))
        trials = []
        for trial in run_drill(scratch, rounds):
            trials.append(trial)
            typer.echo(f"{len(trials)} {trial.defect.title}", err=True)
    rows = [
        _summary(list(group)) for _, group in groupby(trials, key=lambda trial: trial.defect.name)
    ]
    if as_json:
        print_json(rows)
    else:
        _print(rows)
    failed = [row["defect"] for row in rows if not row["holds"]]
    if failed:
        raise FailedError(
            f"Not reported once, by the right check, within {MAX_DETECTION.seconds // 60} minutes:"
            f" {', '.join(failed)}."
        )


def _summary(trials: list[Trial]) -> dict[str, Any]:
    times = sorted(trial.detection.total_seconds() for trial in trials if trial.detection)
    return {
        "defect": trials[0].defect.name,
        "title": trials[0].defect.title,
        "check": trials[0].defect.check,
        "planted": len(trials),
        "reported": len(times),
        "others": [" ".join(filter(None, what)) for trial in trials for what in trial.others],
        "seconds": times,
        "holds": all(trial.holds for trial in trials),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    headings = {
        "defect": "left",
        "reported by": "left",
        **dict.fromkeys(("once of", "min s", "median s", "max s"), "right"),
        "also by": "left",
    }
    print_table(
        "Drill: seconds until a planted defect is reported",
        headings,
        [
            [
                *(row["title"], row["check"], f"{row['reported']}/{row['planted']}"),
                *_spread(row["seconds"]),
                ", ".join(row["others"]) or "–",
            ]
            for row in rows
        ],
        drop=("also by",),
    )


def _spread(seconds: list[float]) -> list[str]:
    if not seconds:
        return ["–"] * 3
    return [f"{value:.0f}" for value in (seconds[0], median(seconds), seconds[-1])]

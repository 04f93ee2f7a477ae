"""``rebuild-bars``: all bars once more from Gold, which should change nothing."""

from datetime import date
from typing import Any

from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.model import StepResult


class RebuildBarsParams(JobParams):
    """Nothing to choose."""


def run_rebuild_bars(run: JobRun, _params: RebuildBarsParams) -> dict[str, Any]:
    """Recompute the bars of each day of Gold, a step a day, and replace those that differ."""
    from k2.bars.processor import gold_days, rebuild
    from k2.bars.table import GOLD_OHLCV
    from k2.home.locks import exclusive

    listed = run.step(
        "list days", lambda: StepResult(data={"days": _texts(gold_days(run.settings))})
    )
    days = [date.fromisoformat(day) for day in listed.data["days"]]
    run.expect(len(days))
    replaced: dict[str, int] = {}
    with exclusive(run.settings.run / "locks", [GOLD_OHLCV.name], "a rebuild of the bars"):
        for day in days:

            def recompute(day: date = day) -> StepResult:
                wrong = sum(count for _, count in rebuild(run.settings, [day]))
                return StepResult(rows=1, data={"replaced": wrong})

            replaced[day.isoformat()] = run.step(f"bars of {day}", recompute).data["replaced"]
    wrong = {day: count for day, count in replaced.items() if count}
    return {"days": len(days), "replaced": wrong}


def _texts(days: list[date]) -> list[str]:
    return [day.isoformat() for day in days]


REBUILD_BARS = JobKind(
    "rebuild-bars",
    "Recompute all bars from Gold and replace those that differ.",
    RebuildBarsParams,
    run_rebuild_bars,
)

"""Runs the drill: each defect in a copy of a healthy lake, checks as they fall due on a made clock."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from k2.errors import FailedError
from k2.quality.check_run import CheckRun
from k2.quality.checks.catalogue import CHECKS
from k2.quality.drill.defects import DRILL, Defect
from k2.quality.drill.planted_lake import EXCHANGES, NOW, PlantedLake
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings

MAX_DETECTION = timedelta(minutes=5)

_ASKED_EVERY = timedelta(seconds=30)  # that is asked which checks are due
_WATCHED = timedelta(minutes=6)  # after it must have been reported, for reports that come again

Incident = tuple[str, str, str]  # check, exchange, symbol


@dataclass
class Trial:
    """One defect, planted once: who reported it, and how long after it was there.

    An incident begins where a check that held does no longer; a check that stays violated tells nothing
    new.
    """

    defect: Defect
    planted_at: datetime
    incidents: list[tuple[Incident, timedelta]] = field(default_factory=list)

    @property
    def wanted(self) -> Incident:
        """The incident that is to be reported."""
        return self.defect.check, self.defect.exchange.name, self.defect.symbol

    @property
    def detection(self) -> timedelta | None:
        """How long it took until the right check reported it; None: it did not."""
        return next((after for what, after in self.incidents if what == self.wanted), None)

    @property
    def others(self) -> list[Incident]:
        """What else was reported, or again."""
        rest = [what for what, _ in self.incidents]
        if self.wanted in rest:
            rest.remove(self.wanted)
        return rest

    @property
    def holds(self) -> bool:
        """Whether it was reported once, by the right check only, in time."""
        return self.detection is not None and self.detection <= MAX_DETECTION and not self.others


def run_drill(scratch: Path, rounds: int = 3, defects: Sequence[Defect] = DRILL) -> Iterator[Trial]:
    """Yield a trial of each defect and round; the rounds spread the time between two runs of a check.

    ``scratch`` is a folder that is the drill's own.

    Raises:
        FailedError: a check is violated before anything was planted.
    """
    base = _home(scratch / "healthy")
    lake = PlantedLake.healthy(base)
    lake.write_until(NOW)
    runner = CheckRunner(base, EXCHANGES, lambda: NOW)
    for check in CHECKS:
        run = runner.run(check)
        if run.status != "passed":
            found = run.error or "; ".join(finding.message for finding in run.violations)
            raise FailedError(f"Check {check.name} is {run.status} in a healthy lake: {found}")
    for defect in defects:
        for number in range(rounds):
            # Between two trades, which come every ten seconds.
            phase = timedelta(seconds=number * 300 // rounds + 7)
            home = scratch / f"{defect.name}-{number}"
            shutil.copytree(base.home, home)
            yield _try(defect, lake.copy(_home(home)), NOW + phase)
            shutil.rmtree(home)


def _try(defect: Defect, lake: PlantedLake, at: datetime) -> Trial:
    trial = Trial(defect, at)
    there = at + defect.grace
    now = NOW
    runner = CheckRunner(lake.settings, EXCHANGES, lambda: now)
    violated: dict[str, set[Incident]] = {}
    is_planted = False
    while now < there + MAX_DETECTION + _WATCHED:
        now += _ASKED_EVERY
        if not is_planted and now >= at:
            lake.write_until(at)
            defect.plant(lake, at)
            is_planted = True
        due = runner.due(CHECKS)
        if due:
            lake.write_until(now)
        for check in due:
            found = _incidents(runner.run(check))
            new = found - violated.get(check.name, set())
            trial.incidents += [(incident, now - there) for incident in sorted(new)]
            violated[check.name] = found
    return trial


def _incidents(run: CheckRun) -> set[Incident]:
    if run.error:
        return {(run.check.name, "", run.error)}
    return {(run.check.name, found.exchange, found.symbol) for found in run.violations}


def _home(folder: Path) -> Settings:
    return Settings.load(home=folder)

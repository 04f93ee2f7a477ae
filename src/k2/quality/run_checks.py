"""Run quality checks, each over what is new since its last run, and store the results."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import structlog

from k2.errors import first_line
from k2.exchanges import EXCHANGES, Exchange
from k2.home.atomic_files import replace_durably
from k2.home.locks import exclusive_soon
from k2.quality.check_run import CheckRun
from k2.quality.checks.check import Check, Tables, Window
from k2.quality.last_results import keep_last
from k2.quality.results import OPS_QUALITY_RESULTS
from k2.settings import Settings
from k2.storage.append_rows import append_rows

_EARLY = timedelta(seconds=15)

log = structlog.get_logger("k2.quality")


@dataclass
class CheckRunner:
    """Runs checks on a home. ``clock`` tells the time, in UTC."""

    settings: Settings
    exchanges: tuple[Exchange, ...] = EXCHANGES
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def run(self, check: Check) -> CheckRun:
        """Run a check over what is new, and keep its result. One that crashes is one that fails."""
        now = self.clock()
        window = Window(self._since(check, now), now, now)
        run_id = uuid.uuid4().hex
        limits = {
            name: self.thresholds.get(f"{check.name}.{name}", value)
            for name, value in check.thresholds.items()
        }
        try:
            tables = Tables(self.settings, self.exchanges)
            result = CheckRun(check, run_id, window, check.function(tables, window, limits))
        except Exception as error:  # whatever it is, the check has not passed
            log.exception("check_crashed", check=check.name)
            text = f"{type(error).__name__}: {first_line(str(error), 300)}"
            result = CheckRun(check, run_id, window, (), text)
        self._keep(result)
        self._tell(result)
        return result

    def due(self, checks: Sequence[Check]) -> list[Check]:
        """Return the checks whose last run is as long ago as they ask for, or that never ran.

        Who asks every five minutes asks now and then a moment early; that is due too.
        """
        now = self.clock()
        last = {check.name: self._last(check) for check in checks if check.every}
        return [
            c
            for c in checks
            if c.every and ((was := last[c.name]) is None or now - was >= c.every - _EARLY)
        ]

    def _since(self, check: Check, now: datetime) -> datetime:
        last = self._last(check)
        oldest = now - check.lookback
        return oldest if last is None else max(last - check.overlap, now - check.catch_up)

    def _last(self, check: Check) -> datetime | None:
        try:
            content = orjson.loads(self._state(check).read_bytes())
            return datetime.fromisoformat(content["until"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _state(self, check: Check) -> Path:
        return self.settings.run / "quality" / f"{check.name}.json"

    def _keep(self, run: CheckRun) -> None:
        names = [OPS_QUALITY_RESULTS.name]
        with exclusive_soon(self.settings.run / "locks", names, "quality checks"):
            append_rows(self.settings.lake, OPS_QUALITY_RESULTS, run.rows())
        keep_last(self.settings, run)
        if not run.error:  # what a crashed run did not see the next one looks at
            state = self._state(run.check)
            state.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(state, orjson.dumps({"until": run.window.until.isoformat()}))

    def _tell(self, run: CheckRun) -> None:
        for finding in run.violations:
            log.warning(
                "check_violated",
                check=run.check.name,
                severity=str(run.check.severity),
                exchange=finding.exchange,
                symbol=finding.symbol,
                value=finding.value,
                threshold=finding.threshold,
                message=finding.message,
            )

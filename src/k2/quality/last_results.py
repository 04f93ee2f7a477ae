"""What checks keep in small files under ``K2_HOME/run/quality``: what each found last, for metrics at each
scrape, and what coverage is to compute again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from k2.home.atomic_files import replace_whole
from k2.quality.check_run import PASSED, CheckRun
from k2.settings import Settings

_ENDING = ".last.json"
_HOURS = "coverage-hours.json"


@dataclass(frozen=True)
class LastResult:
    """A check's last run: when it was, how it ended, violations by exchange, numbers of its own."""

    check: str
    run_at: float = 0.0  # seconds since 1970; 0 for never
    status: str = PASSED
    violations: Mapping[str, int] = field(default_factory=dict)


def keep_last(settings: Settings, run: CheckRun) -> None:
    """Keep what a run found, in place of the run before it."""
    violations = Counter(finding.exchange for finding in run.violations)
    content = {
        "check": run.check.name,
        "run_at": run.window.now.timestamp(),
        "status": run.status,
        "violations": dict(violations),
    }
    _write(settings, f"{run.check.name}{_ENDING}", content)


def read_last(settings: Settings, check: str) -> LastResult:
    """Return what a check found last; one that never ran found nothing."""
    content = _read(settings, f"{check}{_ENDING}")
    try:
        return LastResult(**content) if content else LastResult(check)
    except TypeError:
        return LastResult(check)


def keep_coverage(settings: Settings, hours: Mapping[str, Any], missing: Mapping[str, int]) -> None:
    """Keep by exchange the hours of the last day in each condition, and the trades that are missing."""
    _write(settings, "coverage-numbers.json", {"hours": hours, "missing": missing})


def read_coverage(settings: Settings) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Return what :func:`keep_coverage` kept; nothing before the first run."""
    content = _read(settings, "coverage-numbers.json")
    return dict(content.get("hours", {})), dict(content.get("missing", {}))


def keep_hours(
    settings: Settings, computed: Mapping[datetime, datetime], waiting: Iterable[datetime]
) -> None:
    """Keep when hours of the ledger were computed, and which of them are to be computed again."""
    content = {
        "computed": {hour.isoformat(): at.isoformat() for hour, at in computed.items()},
        "waiting": [hour.isoformat() for hour in sorted(waiting)],
    }
    _write(settings, _HOURS, content)


def read_hours(settings: Settings) -> tuple[dict[datetime, datetime], set[datetime]]:
    """Return what :func:`keep_hours` kept; nothing where it is not readable."""
    content = _read(settings, _HOURS)
    time_of = datetime.fromisoformat
    try:
        computed = {time_of(hour): time_of(at) for hour, at in content["computed"].items()}
        return computed, {time_of(hour) for hour in content["waiting"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}, set()


def _folder(settings: Settings) -> Path:
    return settings.run / "quality"


def _write(settings: Settings, name: str, content: Mapping[str, Any]) -> None:
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(folder / name, orjson.dumps(content))


def _read(settings: Settings, name: str) -> dict[str, Any]:
    try:
        content = orjson.loads((_folder(settings) / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

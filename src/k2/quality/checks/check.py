"""What a quality check is: a name, how bad a finding is, how often it runs, and a function."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from k2.exchanges import Exchange
from k2.settings import Settings

if TYPE_CHECKING:
    from k2.storage.file_pruning import Condition

MAX_KEYS = 20  # that a finding names; its count is always whole


class Severity(StrEnum):
    """How bad a violated check is: an ``error`` fails the run, a ``warning`` is only told."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Window:
    """What a run looks at: records whose broker timestamp is after ``since`` and up to ``until``.

    ``now`` is when the run began. All times have a zone.
    """

    since: datetime
    until: datetime
    now: datetime

    def conditions(self, before: timedelta = timedelta(0)) -> "list[Condition]":
        """Return what a scan's rows must meet to be of the window, and of the time ``before`` it too."""
        return [
            ("kafka_timestamp", ">", self.since - before),
            ("kafka_timestamp", "<=", self.until),
        ]


@dataclass(frozen=True)
class Tables:
    """The tables of a home, and of which exchanges."""

    settings: Settings
    exchanges: tuple[Exchange, ...]

    @property
    def lake(self) -> Path:
        """Where they are."""
        return self.settings.lake


@dataclass(frozen=True)
class Finding:
    """What a check measured of one exchange or market.

    ``value`` is compared with ``threshold``: above it the finding is a violation. ``count`` of
    ``total`` rows are concerned, and ``keys`` name the first of them.
    """

    exchange: str
    message: str
    value: float
    threshold: float
    symbol: str = ""
    count: int = 0
    total: int = 0
    keys: Sequence[str] = ()

    @property
    def is_violation(self) -> bool:
        """Whether the value is over the threshold."""
        return self.value > self.threshold


# Looks at a window; thresholds are by name.
CheckFunction = Callable[[Tables, Window, Mapping[str, float]], list[Finding]]


def loaded_when_run(module: str, function: str) -> CheckFunction:
    """Return a function of ``k2.quality.checks``, imported at its first call.

    Its libraries take 90 MB, which the service that only knows when checks are due does without.
    """

    def run(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
        found: CheckFunction = getattr(import_module(f"k2.quality.checks.{module}"), function)
        return found(tables, window, limits)

    return run


@dataclass(frozen=True)
class Check:
    """One quality check.

    ``every`` is how often it runs; ``lookback`` what its first run looks at; ``overlap`` what each run
    looks at again, since tables are written one after the other; ``catch_up`` how far back a run looks
    after a long pause. ``thresholds`` can be set by
    ``K2_QUALITY_THRESHOLDS``, as ``<check>.<name>``.
    """

    name: str
    title: str
    severity: Severity
    every: timedelta
    function: CheckFunction
    thresholds: Mapping[str, float] = field(default_factory=dict)
    lookback: timedelta = timedelta(hours=1)
    overlap: timedelta = timedelta(0)
    catch_up: timedelta = timedelta(days=1)
    runbook: str = ""

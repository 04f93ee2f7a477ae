"""Store the results of quality checks in ``ops_quality_results``: a row for each finding of each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from k2.quality.checks.check import Check, Finding, Window
from k2.storage.columns import TIMESTAMP_US_UTC, column, date, list_of
from k2.storage.scan import scan_table
from k2.storage.table import Layer, Table

PASSED, FAILED, CRASHED = "passed", "failed", "crashed"

_TEXT, _TIME = pa.string(), TIMESTAMP_US_UTC

OPS_QUALITY_RESULTS = Table(
    name="ops_quality_results",
    layer=Layer.OPS,
    comment="What quality checks found: a row for each exchange or market and run, violated or not.",
    schema=pa.schema(
        [
            column("run_id", _TEXT, "The run; all rows of it have the same", True),
            column("check", _TEXT, "Name of the check", True),
            column("severity", _TEXT, "error or warning", True),
            column("status", _TEXT, "passed, failed, or crashed: the check itself did", True),
            column("exchange", _TEXT, "The exchange; empty for all of them", True),
            column("symbol", _TEXT, "The market; empty for all of them", True),
            column("value", pa.float64(), "What was measured"),
            column("threshold", pa.float64(), "Above it the check is violated"),
            column("count", pa.int64(), "Rows concerned", True),
            column("total", pa.int64(), "Rows looked at", True),
            column("keys", list_of(_TEXT), "The first of the rows concerned", True),
            column("message", _TEXT, "What was found, in words", True),
            column("window_start", _TIME, "Broker time that the run looked at, from", True),
            column("window_end", _TIME, "Until then", True),
            column("run_at", _TIME, "When the run began, UTC", True),
            date("day", "UTC day of run_at"),
        ]
    ),
    key=("run_id", "exchange", "symbol", "message"),
    partitioned_by=("day",),
    stats_columns=("check", "run_at"),
)


@dataclass(frozen=True)
class CheckRun:
    """One run of a check. ``error`` says why it crashed; a crashed check is a failed one."""

    check: Check
    run_id: str
    window: Window
    findings: Sequence[Finding]
    error: str = ""

    @property
    def violations(self) -> list[Finding]:
        """The findings over their thresholds."""
        return [finding for finding in self.findings if finding.is_violation]

    @property
    def status(self) -> str:
        """``passed``, ``failed`` or ``crashed``."""
        if self.error:
            return CRASHED
        return FAILED if self.violations else PASSED

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of ``ops_quality_results``: at least one."""
        common = {
            "run_id": self.run_id,
            "check": self.check.name,
            "severity": str(self.check.severity),
            "window_start": self.window.since,
            "window_end": self.window.until,
            "run_at": self.window.now,
            "day": self.window.now.astimezone(UTC).date(),
        }
        rows = [
            common
            | {
                "status": FAILED if finding.is_violation else PASSED,
                "exchange": finding.exchange,
                "symbol": finding.symbol,
                "value": float(finding.value),
                "threshold": float(finding.threshold),
                "count": int(finding.count or 0),
                "total": int(finding.total or 0),
                "keys": list(finding.keys),
                "message": finding.message,
            }
            for finding in self.findings
        ]
        nothing = {
            "status": self.status,
            **{"exchange": "", "symbol": "", "value": None, "threshold": None},
            **{"count": 0, "total": 0, "keys": [], "message": self.error or "nothing to look at"},
        }
        return rows if rows and not self.error else [*rows, common | nothing]

    def public(self) -> dict[str, Any]:
        """Return the run for programs."""
        return {
            "check": self.check.name,
            "severity": str(self.check.severity),
            "status": self.status,
            "run_id": self.run_id,
            "run_at": self.window.now.isoformat(),
            "findings": [
                {key: row[key] for key in ("exchange", "symbol", "status", "value", "threshold",
                                           "count", "total", "keys", "message")}
                for row in self.rows()
            ],
        }  # fmt: skip


def read_results(lake: Path, since: datetime, check: str = "") -> pa.Table:
    """Return the stored results since then, newest first; of one check, if it is named."""
    where: list[tuple[str, str, Any]] = [("run_at", ">=", since)]
    if check:
        where.append(("check", "=", check))
    rows = scan_table(lake, OPS_QUALITY_RESULTS, where=where).table()
    return rows.sort_by([("run_at", "descending"), ("check", "ascending")])

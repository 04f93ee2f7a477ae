"""One run of a quality check: when, over what, what it found, or why it crashed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from k2.quality.checks.check import Check, Finding, Window

PASSED, FAILED, CRASHED = "passed", "failed", "crashed"


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

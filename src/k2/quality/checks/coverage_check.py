"""Coverage as a quality check: brings the ledger up to date, and tells of gaps that are new in it."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from k2.home.locks import exclusive_soon
from k2.quality.checks.check import MAX_KEYS, Finding, Tables, Window
from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.states import Condition
from k2.quality.coverage.summary import open_gaps
from k2.quality.coverage.table import OPS_COVERAGE
from k2.quality.coverage.timeline import new_gaps
from k2.quality.coverage.update import CoverageUpdate
from k2.quality.last_results import keep_coverage


def check_coverage(tables: Tables, window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """Return for each exchange, and for each market of which something is newly missing, how much.

    A gap is told of by the run that finds it; the ledger has it from then on. ``missing`` is how many
    numbers of a market may be missing without being a violation.
    """
    settings = tables.settings
    with exclusive_soon(settings.run / "locks", [OPS_COVERAGE.name], "coverage"):
        update = CoverageUpdate(settings, window.now, tables.exchanges)
        update.run(window.since)
        # With what a run found that crashed before it could tell.
        rows = update.ledger.updated_after(window.since)
        _keep_numbers(tables, update, window)
    found: list[Finding] = []
    gaps: dict[tuple[str, str], list[Gap]] = {}
    for row, gap in new_gaps(rows, window.since):
        gaps.setdefault((row["exchange"], row["symbol"]), []).append(gap)
    for exchange in tables.exchanges:
        of_exchange = [row for row in rows if row["exchange"] == exchange.name]
        count = sum(len(of) for (name, _), of in gaps.items() if name == exchange.name)
        found.append(
            Finding(
                exchange=exchange.name,
                message=f"{len(of_exchange)} hours computed, {_conditions(of_exchange)}",
                value=0.0,
                threshold=limits["missing"],
                count=count,
                total=len(of_exchange),
            )
        )
    for (name, symbol), of in sorted(gaps.items()):
        missing = sum(gap.size for gap in of)
        causes = ", ".join(sorted({str(gap.cause) for gap in of}))
        found.append(
            Finding(
                exchange=name,
                symbol=symbol,
                message=f"{missing} trades of {symbol} are missing in {len(of)} gaps ({causes})",
                value=float(missing),
                threshold=limits["missing"],
                count=missing,
                keys=[_key(gap) for gap in of][:MAX_KEYS],
            )
        )
    return found


def _keep_numbers(tables: Tables, update: CoverageUpdate, window: Window) -> None:
    """Keep for metrics what the last day is like."""
    recent = update.ledger.rows(window.now - timedelta(days=1), window.now)
    hours = {
        exchange.name: Counter(
            row["condition"] for row in recent if row["exchange"] == exchange.name
        )
        for exchange in tables.exchanges
    }
    missing: Counter[str] = Counter()
    for row, gap in open_gaps(recent):
        missing[row["exchange"]] += gap.size
    keep_coverage(tables.settings, hours, missing)


def _key(gap: Gap) -> str:
    return f"{gap.first_id}–{gap.last_id} from {gap.start:%Y-%m-%d %H:%M:%S} to {gap.end:%H:%M:%S}"


def _conditions(rows: list[dict[str, Any]]) -> str:
    counts = {c: sum(row["condition"] == c for row in rows) for c in Condition}
    return ", ".join(f"{count} {condition}" for condition, count in counts.items() if count)

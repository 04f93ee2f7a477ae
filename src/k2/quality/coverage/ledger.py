"""The stored ledger: ``ops_coverage`` read and replaced by whole days, and what was accepted."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from k2.quality.coverage.gaps import Acceptance
from k2.quality.coverage.table import OPS_COVERAGE, OPS_COVERAGE_ACCEPTED
from k2.quality.coverage.timeline import Row
from k2.sql import query
from k2.storage.append_rows import append_rows
from k2.storage.delta import ensure_table, named_errors
from k2.storage.exact_types import rebuilt
from k2.storage.file_pruning import Condition
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import scan_table

MarketKey = tuple[str, str]  # exchange and symbol

_NEAR = timedelta(days=8)


@dataclass(frozen=True)
class Ledger:
    """The ledger under ``lake``. Who writes holds the table's lock."""

    lake: Path

    def rows(
        self,
        since: datetime,
        until: datetime,
        exchange: str | None = None,
        symbol: str | None = None,
    ) -> list[Row]:
        """Return the rows of hours from ``since`` up to, and with, ``until``, in order."""
        where: list[Condition] = [
            ("day", ">=", _day(since)),
            ("day", "<=", _day(until)),
            ("hour", ">=", since),
            ("hour", "<=", until),
        ]
        if exchange is not None:
            where.append(("exchange", "=", exchange))
        if symbol is not None:
            where.append(("symbol", "=", symbol))
        rows = scan_table(self.lake, OPS_COVERAGE, where=where).table()
        keys = [("exchange", "ascending"), ("symbol", "ascending"), ("hour", "ascending")]
        return list(rows.sort_by(keys).to_pylist())

    def updated_after(self, moment: datetime) -> list[Row]:
        """Return the rows that were computed after a moment."""
        return list(
            scan_table(self.lake, OPS_COVERAGE, where=[("updated_at", ">", moment)])
            .table()
            .to_pylist()
        )

    def hour_with_trades(self, moment: datetime, after: bool = False) -> dict[MarketKey, datetime]:
        """Return each market's last hour with trades before a moment, or its first one after it."""
        near = _day(moment) - _NEAR
        bounds: list[tuple[str, str, Any]] = (
            [("day", ">=", _day(moment)), ("hour", ">", moment)]
            if after
            else [("day", "<=", _day(moment)), ("hour", "<", moment)]
        )
        columns = ["exchange", "symbol", "hour", "trades"]
        found: dict[MarketKey, datetime] = {}
        # Nearly every market has one within days; only for the others all of the ledger is read.
        parts = [[]] if after else [[("day", ">=", near)], [("day", "<", near)]]
        for part in parts:
            rows = scan_table(self.lake, OPS_COVERAGE, columns, [*bounds, *part])
            with named_read_errors(rows.files):
                for row in query(
                    f"select exchange, symbol, {'min' if after else 'max'}(hour) as hour"  # noqa: S608
                    f" from ({rows.sql}) where trades > 0 group by all"
                ).to_pylist():
                    found.setdefault((row["exchange"], row["symbol"]), row["hour"])
        return found

    def replace(self, rows: Sequence[Row]) -> None:
        """Put rows in the place of stored ones of the same market and hour, all in one commit."""
        if not rows:
            return
        stored = ensure_table(self.lake, OPS_COVERAGE)
        days = sorted({row["day"] for row in rows})
        replaced = {_key(row) for row in rows}
        kept = [
            row
            for row in scan_table(self.lake, OPS_COVERAGE, where=[("day", "in", days)])
            .table()
            .to_pylist()
            if _key(row) not in replaced
        ]
        together = pa.Table.from_pylist([*kept, *rows], schema=OPS_COVERAGE.row_schema)
        with named_errors(OPS_COVERAGE):
            write_deltalake(
                stored,
                rebuilt(together, OPS_COVERAGE),
                mode="overwrite",
                predicate=" or ".join(f"day = '{day}'" for day in days),
                # Nobody else may commit here, so a conflict is a failure, not a retry.
                commit_properties=CommitProperties(max_commit_retries=0),
            )

    def acceptances(self) -> dict[MarketKey, list[Acceptance]]:
        """Return what was accepted, by market."""
        found: dict[MarketKey, list[Acceptance]] = defaultdict(list)
        for row in scan_table(self.lake, OPS_COVERAGE_ACCEPTED).table().to_pylist():
            found[row["exchange"], row["symbol"]].append(
                Acceptance(row["reason"], row["first_id"], row["last_id"], row["start"], row["end"])
            )
        return found

    def accept(self, market: MarketKey, acceptance: Acceptance, now: datetime) -> None:
        """Keep an acceptance."""
        row = {
            "exchange": market[0],
            "symbol": market[1],
            "first_id": acceptance.first_id,
            "last_id": acceptance.last_id,
            "start": acceptance.start,
            "end": acceptance.end,
            "reason": acceptance.reason,
            "accepted_at": now,
            "day": _day(now),
        }
        append_rows(self.lake, OPS_COVERAGE_ACCEPTED, [row])


def changed_rows(rows: Iterable[Row], stored: Iterable[Row]) -> list[Row]:
    """Return the rows that say something else than the stored ones of their hours."""
    known = {_key(row): _said(row) for row in stored}
    return [row for row in rows if known.get(_key(row)) != _said(row)]


def _said(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "updated_at"}


def _key(row: Row) -> tuple[str, str, datetime]:
    return row["exchange"], row["symbol"], row["hour"]


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()

"""What an hour's trades show by themselves: counts, numbers, the gaps between them, silence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.hour_query import (
    HOUR,
    NOTHING,
    Span,
    dead_numbers,
    islands,
    measuring,
    only_in,
    unreadable_between,
    with_others,
)
from k2.settings import Settings
from k2.silver.tables import dead_letters, silver_trades
from k2.sql import identifier, type_name
from k2.storage.delta import open_table
from k2.storage.file_pruning import Condition
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import Scan, data_files, scan, scan_table
from k2.storage.table import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Neighbours in the numbering may stand in the hour before or after, a little out of order.
_AROUND = timedelta(minutes=1)
_NUMBERED_IN_GOLD = (
    *("symbol", "timestamp", "instrument_type", "trade_conditions", "trade_id"),
    *("partition", "offset"),
)
_NUMBERED = (*_NUMBERED_IN_GOLD, "first_trade_id", "last_trade_id")


@dataclass(frozen=True)
class HourFacts:
    """One market's hour. ``gaps`` are those that end in it, but for one before its first number.

    ``follows`` is true where a trade shortly before the hour shows that nothing, or only a gap among
    ``gaps``, lies before the first number. ``missing`` counts all gaps, named or not.
    """

    symbol: str
    hour: datetime
    trades: int
    gold_trades: int
    late: int
    observed: int | None
    missing: int
    first_id: int | None
    last_id: int | None
    first_at: datetime
    last_at: datetime
    silence_seconds: float
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    follows: bool = False


@dataclass
class HourReader:
    """Reads hours of an exchange from Silver, where the numbers are, and from Gold, as of ``now``.

    The tables are opened once: what is written after that is of the next update.
    """

    settings: Settings
    exchange: Exchange
    now: datetime
    database: "DuckDBPyConnection"

    def __post_init__(self) -> None:
        self._silver = _Stored.of(self.settings, silver_trades(self.exchange))
        self._gold = _Stored.of(self.settings, GOLD_TRADES)

    def facts(
        self, hour: datetime, others: Iterable[datetime] = (), spans: Sequence[Span] = ()
    ) -> list[HourFacts]:
        """Return the facts of each market that has trades in an hour.

        A number within ``spans`` that a trade of one of the ``others`` has, hours too, is not missing.

        Raises:
            ContractError: a file is missing or is not readable.
            TableDriftError: the tables are older than this K2.
        """
        around: list[Condition] = [
            ("timestamp", ">=", hour - _AROUND),
            ("timestamp", "<", hour + HOUR + _AROUND),
        ]
        of_exchange: list[Condition] = [("exchange", "=", self.exchange.name)]
        silver = self._silver.select(_NUMBERED, around)
        if spans:
            silver = with_others(self.exchange, silver, self._of_hours(others), spans)
        in_gold = self._in_gold(hour, of_exchange)
        rows = self._measure(hour, silver)
        trades = {row["symbol"]: row["trades"] for row in rows}
        is_short = any(count > trades.get(symbol, 0) for symbol, (count, _) in in_gold.items())
        if is_short or any(row["gap_count"] for row in rows):
            # Silver may have lost rows, which the balance tells: what Gold has is not missing here.
            # Nor is a record that became a dead letter, which the row counts as such.
            gold = self._gold.select(_NUMBERED_IN_GOLD, [*of_exchange, *around])
            rows = self._measure(hour, silver, only_in(gold, silver), self._dead(hour))
        self._explain(hour, rows)
        return [_of(row, hour, in_gold) for row in rows]

    def numbers_in(
        self, symbol: str, hours: Iterable[datetime], low: int, high: int
    ) -> list[tuple[int, int]]:
        """Return the ranges of numbers, from ``low`` to ``high``, of a market's trades in some hours."""
        found: list[tuple[int, int]] = []
        for hour in hours:
            in_hour: list[Condition] = [("timestamp", ">=", hour), ("timestamp", "<", hour + HOUR)]
            silver = self._silver.select(_NUMBERED, in_hour)
            rows = self._ask(islands(self.exchange, silver, symbol, low, high))
            found += [(row["first"], row["last"]) for row in rows]
        return found

    def _of_hours(self, hours: Iterable[datetime]) -> str:
        parts = [
            self._silver.select(_NUMBERED, [("timestamp", ">=", h), ("timestamp", "<", h + HOUR)])
            for h in hours
        ]
        return " union all ".join(f"({part})" for part in parts)

    def _explain(self, hour: datetime, rows: list[dict[str, Any]]) -> None:
        """Take from the gaps those of records that nobody could read: dead letters without a number."""
        gaps = [
            (row, gap)
            for row in rows
            for gap in row["gaps"] or ()
            if gap["low"] is not None and gap["low"] < gap["high"]
        ]
        letters = self._letters(hour)
        if not gaps or not letters.files:
            return
        values = ", ".join(
            f"({n}, {gap['partition']}, {gap['low']}, {gap['high']})"
            for n, (_, gap) in enumerate(gaps)
        )
        span: list[Condition] = [
            ("offset", ">=", min(gap["low"] for _, gap in gaps)),
            ("offset", "<=", max(gap["high"] for _, gap in gaps)),
        ]
        place = ["partition", "offset"]
        bronze = scan_table(self.settings.lake, bronze_trades(self.exchange), [*place, "key"], span)
        named = f'(values {values}) as gaps(place, "partition", low, high)'
        for found in self._ask(
            unreadable_between(f"select * from {named}", letters.sql, bronze.sql)  # noqa: S608
        ):
            row, gap = gaps[found["place"]]
            size = gap["last"] - gap["first"] + 1
            if found["n"] >= size:
                row["gaps"].remove(gap)
                row["gap_count"] -= 1
                row["missing"] -= size

    def _in_gold(self, hour: datetime, of_exchange: list[Condition]) -> dict[str, tuple[int, int]]:
        of_hour: list[Condition] = [
            ("exchange_date", "=", hour.date()),
            ("exchange_hour", "=", hour.hour),
        ]
        rows = self._gold.select(("symbol", "is_late"), [*of_hour, *of_exchange])
        found = self._ask(
            "select symbol, count(*) as n, count_if(is_late) as late"  # noqa: S608 — our own SQL
            f" from ({rows}) group by all"
        )
        return {row["symbol"]: (row["n"], row["late"]) for row in found}

    def _ask(self, sql: str) -> list[dict[str, Any]]:
        with named_read_errors():
            return list(self.database.sql(sql).to_arrow_table().to_pylist())

    def _measure(
        self, hour: datetime, silver: str, only_in_gold: str = NOTHING, dead: str = NOTHING
    ) -> list[dict[str, Any]]:
        return self._ask(measuring(self.exchange, hour, self.now, silver, only_in_gold, dead))

    def _dead(self, hour: datetime) -> str:
        """SQL for the numbers of dead letters; their own time is not known, the broker's is near it."""
        letters = self._letters(hour)
        if not letters.files:
            return NOTHING
        in_hour: list[Condition] = [("timestamp", ">=", hour), ("timestamp", "<", hour + HOUR)]
        named = self._silver.select(("symbol", "instrument_type", "message_id"), in_hour)
        return dead_numbers(letters.sql, named)

    def _letters(self, hour: datetime) -> Scan:
        near: list[Condition] = [
            ("kafka_timestamp", ">=", hour - HOUR),
            ("kafka_timestamp", "<", hour + 2 * HOUR),
        ]
        columns = ["partition", "offset", "message_id", "kafka_timestamp"]
        return scan_table(self.settings.lake, dead_letters(self.exchange), columns, near)


@dataclass(frozen=True)
class _Stored:
    """A table at one version, and its files; or none."""

    table: Table
    stored: DeltaTable | None
    files: pa.Table | None

    @classmethod
    def of(cls, settings: Settings, table: Table) -> "_Stored":
        stored = open_table(settings.lake, table)
        return cls(table, stored, None if stored is None else data_files(stored))

    def select(self, columns: Sequence[str], where: Sequence[Condition]) -> str:
        """SQL for the columns of the rows that meet all conditions."""
        if self.stored is None:
            kinds = self.table.row_schema
            nothing = (
                f"null::{type_name(kinds.field(n).type)} as {identifier(n)}" for n in columns
            )
            return f"select {', '.join(nothing)} where false"
        return scan(self.stored, columns, where, self.files).sql


def _of(
    row: Mapping[str, Any], hour: datetime, in_gold: Mapping[str, tuple[int, int]]
) -> HourFacts:
    gold, late = in_gold.get(row["symbol"], (0, 0))
    gaps = tuple(
        Gap(gap["first"], gap["last"], gap["start"], gap["end"]) for gap in row["gaps"] or ()
    )
    return HourFacts(
        symbol=row["symbol"],
        hour=hour,
        trades=row["trades"],
        gold_trades=gold,
        late=late,
        observed=row["observed"],
        missing=row["missing"] or 0,
        first_id=row["first_id"],
        last_id=row["last_id"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        silence_seconds=float(row["silence"]),
        gaps=gaps,
        gap_count=row["gap_count"] or 0,
        follows=bool(row["follows"]),
    )

"""Reads hours of an exchange's trades, as of one version of each table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.quality.coverage.hour_facts import HourFacts, facts_of_row
from k2.quality.coverage.hour_query import (
    HOUR,
    NO_RANGES,
    NOTHING,
    Span,
    dead_numbers,
    extents,
    is_counted,
    islands,
    measuring,
    only_in_gold,
    unreadable_between,
    within,
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

Extent = tuple[int, int]  # the smallest and the largest number

# Neighbours in the numbering may stand in the hour before or after, a little out of order.
_AROUND = timedelta(minutes=1)
_NUMBERED_IN_GOLD = (
    *("symbol", "timestamp", "instrument_type", "trade_conditions", "trade_id"),
    *("partition", "offset"),
)
_NUMBERED = (*_NUMBERED_IN_GOLD, "first_trade_id", "last_trade_id", "ingestion_timestamp")


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
        self._extents: dict[datetime, dict[str, Extent]] = {}
        self._made: dict[datetime, str] = {}  # tables of ranges, by hour
        # Gold first: it is made from Silver, so that a trade of it which Silver has not is lost there.
        self._gold = _Stored.of(self.settings, GOLD_TRADES)
        self._silver = _Stored.of(self.settings, silver_trades(self.exchange))

    def facts(
        self, hour: datetime, others: Sequence[datetime] = (), spans: Sequence[Span] = ()
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
        elsewhere = within(spans, self._islands(others)) if spans else NO_RANGES
        in_gold, letters = self._in_gold(hour, of_exchange), self._letters(hour)
        dead = self._dead(hour, letters)

        def measured(lost: str = NOTHING) -> list[dict[str, Any]]:
            numbers = lost, dead, elsewhere
            rows = self._ask(measuring(self.exchange, hour, self.now, silver, *numbers))
            self._explain(rows, letters)
            return rows

        rows = measured()
        trades = {row["symbol"]: row["trades"] for row in rows}
        is_short = any(count > trades.get(symbol, 0) for symbol, (count, _) in in_gold.items())
        if is_short or any(row["gap_count"] for row in rows):
            # Silver may have lost rows, which the balance tells: what Gold has is not missing here.
            gold = self._gold.select(_NUMBERED_IN_GOLD, [*of_exchange, *around])
            self._keep("lost", only_in_gold(gold, silver))
            if self._ask("from lost limit 1"):
                rows = measured("from lost")
        return [facts_of_row(row, hour, in_gold) for row in rows]

    def extents(self, hour: datetime) -> dict[str, Extent]:
        """Return the smallest and the largest number of each market that has trades in an hour."""
        if self.exchange.numbering is None:
            return {}
        if hour not in self._extents:  # each day of an update asks for the days around it
            found = self._ask(extents(self.exchange, self._of_hour(hour)))
            self._extents[hour] = {row["symbol"]: (row["low"], row["high"]) for row in found}
        return self._extents[hour]

    def numbers_in(
        self, symbol: str, hours: Sequence[datetime], low: int, high: int
    ) -> list[tuple[int, int]]:
        """Return the ranges of numbers, from ``low`` to ``high``, of a market's trades in some hours."""
        span = Span(symbol, low, high)
        rows = self._ask(within([span], self._islands(hours))) if hours else []
        return [(row["first"], row["last"]) for row in rows]

    def _islands(self, hours: Sequence[datetime]) -> str:
        """SQL for the ranges of numbers of some hours; each hour's are made once."""
        for hour in hours:
            if hour not in self._made:
                self._made[hour] = f"islands_{self.exchange.name}_{hour:%Y%m%d%H}"
                self._keep(self._made[hour], islands(self.exchange, self._of_hour(hour)))
        return " union all ".join(f"from {self._made[hour]}" for hour in hours)

    def _of_hour(self, hour: datetime, columns: Sequence[str] = _NUMBERED) -> str:
        in_hour: list[Condition] = [("timestamp", ">=", hour), ("timestamp", "<", hour + HOUR)]
        return self._silver.select(columns, in_hour)

    def _explain(self, rows: list[dict[str, Any]], letters: Scan) -> None:
        """Take from the gaps those of records that nobody could read: dead letters without a number."""
        gaps = [
            (row, gap)
            for row in rows
            for gap in row["gaps"] or ()
            if gap["low"] is not None and gap["low"] < gap["high"]
        ]
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
        columns = ("symbol", "is_late", "ingestion_timestamp")
        rows = self._gold.select(columns, [*of_hour, *of_exchange])
        found = self._ask(
            "select symbol, count(*) as n, count_if(is_late) as late"  # noqa: S608 — our own SQL
            f" from ({rows}) where {is_counted(hour, self.now)} group by all"
        )
        return {row["symbol"]: (row["n"], row["late"]) for row in found}

    def _ask(self, sql: str) -> list[dict[str, Any]]:
        with named_read_errors():
            return list(self.database.sql(sql).to_arrow_table().to_pylist())

    def _keep(self, name: str, sql: str) -> None:
        """Keep what a query finds in a table of the database."""
        with named_read_errors():
            self.database.execute(f"create or replace temp table {name} as {sql}")

    def _dead(self, hour: datetime, letters: Scan) -> str:
        """SQL for the numbers that dead letters had: such a record is not missing, the row counts it as such."""
        if not letters.files:
            return NOTHING
        return dead_numbers(
            letters.sql, self._of_hour(hour, ("symbol", "instrument_type", "message_id"))
        )

    def _letters(self, hour: datetime) -> Scan:
        """The dead letters of the hour: their own time is not known, the broker's is near it."""
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

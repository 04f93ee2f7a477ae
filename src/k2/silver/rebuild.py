"""Rebuild Silver from all of Bronze with today's code, into separate tables."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from k2.exchanges import Exchange
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.dead_letters.replay import DUPLICATE
from k2.silver.dedup.index import DedupIndex
from k2.silver.processor import SilverProcessor
from k2.silver.rules.apply_rules import TRADE
from k2.silver.schema_lookup import SchemaLookup
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.sql import utc_database
from k2.storage.delta import ensure_table
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import scan
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STEP = 100_000  # offsets in memory at once

Ends = Mapping[int, int]  # partition → its last offset


@dataclass(frozen=True)
class Slice:
    """Offsets ``first`` to ``last`` of a partition."""

    partition: int
    first: int
    last: int


@dataclass(frozen=True)
class Rebuild:
    """A rebuild of one exchange's tables; ``scratch`` is the home of what it writes."""

    exchange: Exchange
    scratch: Settings
    schemas: SchemaLookup
    reader: str
    lists: InstrumentLists

    def run(
        self,
        bronze: DeltaTable,
        ledger: DeltaTable | None,
        ends: Ends,
        on_rows: Callable[[int], None] = lambda _rows: None,
    ) -> None:
        """Validate every record up to ``ends``, slice by slice, ordered by offset.

        Offsets do not show when a replay resolved a dead letter, so these keep their place: those that became
        trades come before all other records, because Silver had no such trade then, and those that became
        duplicates after them, because Silver had. A killed run continues with the slice that it was at.
        """
        for table in (silver_trades, duplicates, dead_letters):
            ensure_table(self.scratch.lake, table(self.exchange))
        writer = ArrowWriter(self.scratch.lake)
        processor = SilverProcessor(
            self.exchange, self.scratch, self.schemas, self.reader, lists=self.lists
        )
        app = f"rebuild-{self.exchange.name}/v1"
        done = _newest_batch(self.scratch.checkpoint(app))
        try:
            for batch, rows in _parts(bronze, ledger, ends, done):
                processor.process(writer.hold(rows), TxnId(app, batch))
                on_rows(rows.num_rows)
        finally:
            processor.close()


def slices(ends: Ends) -> Iterator[Slice]:
    """Cut the partitions into slices, ordered by offset."""
    for partition, end in sorted(ends.items()):
        for first in range(0, end + 1, STEP):
            yield Slice(partition, first, min(first + STEP - 1, end))


def scratch_settings(settings: Settings, exchange: Exchange) -> Settings:
    """Return settings whose home is the scratch folder of a rebuild."""
    folder: Path = settings.home / "scratch" / f"rebuild-silver-{exchange.name}"
    return settings.model_copy(update={"home": folder})


def _newest_batch(state: Path) -> int:
    """The newest batch that all tables have, by their dedup index; -1 for none."""
    with closing(DedupIndex(state / "seen-trades.db")) as seen:
        return seen.applied_batch


def _parts(
    bronze: DeltaTable, ledger: DeltaTable | None, ends: Ends, done: int
) -> Iterator[tuple[int, pa.Table]]:
    """Yield the slices with records, each with its number, after the slice ``done``."""
    outcomes = (None,) if ledger is None else (TRADE, None, DUPLICATE)
    with named_read_errors(), _database(bronze, ledger) as database:
        parts = ((outcome, part) for outcome in outcomes for part in slices(ends))
        for number, (outcome, part) in enumerate(parts):
            if number > done:
                values = [part.partition, part.first, part.last]
                rows = database.sql(_selection(outcome), params=values).to_arrow_table()
                if rows.num_rows:
                    yield number, rows


def _selection(outcome: str | None) -> str:
    """SQL for a slice's records that a replay resolved with ``outcome``; None selects unresolved records."""
    place = 'resolved using (topic, "partition", "offset")'
    chosen = f"anti join {place}"
    if outcome is not None:
        chosen = f"semi join (from resolved where outcome = '{outcome}') as {place}"
    return (
        'select topic, "partition", "offset", schema_id, kafka_timestamp, value'  # noqa: S608
        f' from (select * from bronze where "partition" = ? and "offset" between ? and ?) {chosen}'
    )


def _database(bronze: DeltaTable, ledger: DeltaTable | None) -> "DuckDBPyConnection":
    database = utc_database()
    scan(bronze).create_view(database, "bronze")
    if ledger is not None:
        scan(ledger).create_view(database, "resolved")
        return database
    none = pa.table(
        {
            "topic": pa.array([], pa.string()),
            "partition": pa.array([], pa.int32()),
            "offset": pa.array([], pa.int64()),
            "outcome": pa.array([], pa.string()),
        }
    )
    database.register("resolved", none)
    return database

"""Validate dead letters again with today's schemas, instruments and rules, and resolve those that are trades.

A replay works in steps. Each step is decided once, stored in the journal, written to Silver, duplicates and
resolutions under the replay's own transaction id, added to the dedup index, and deleted from the journal. A
step that is still in the journal after a crash is written again with the same rows, before anybody uses the
index.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from k2.engine.table_requests import ExclusiveSection, Request
from k2.errors import UnavailableError
from k2.exchanges import Exchange
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.dead_letters.journal import ReplayJournal, replay_app
from k2.silver.dead_letters.store import in_chunks, open_coordinates, records_of, resolved_by
from k2.silver.dedup.index import DedupIndex, DedupResult
from k2.silver.dedup.stored_records import stored_records
from k2.silver.rules.apply_rules import TRADE
from k2.silver.schema_lookup import SchemaLookup
from k2.silver.tables import OVERLAPS, REPEATED, duplicates, resolutions, silver_trades
from k2.silver.transform import to_silver
from k2.storage.delta import ensure_table, open_table
from k2.storage.writers.writer import TableWriter, TxnId

DUPLICATE = "duplicate"
STEP = 20_000  # dead letters in memory at once


@dataclass(frozen=True)
class Replayed:
    """What a replay did: how many open dead letters it validated, and how many became trades and duplicates."""

    exchange: str
    replay_id: str
    considered: int
    trades: int
    duplicates: int

    @property
    def unresolved(self) -> int:
        """How many are still dead letters."""
        return self.considered - self.trades - self.duplicates


@dataclass(frozen=True)
class DeadLetterReplay:
    """Replays one exchange's dead letters. ``app`` is the Silver stream's, whose index it shares."""

    exchange: Exchange
    settings: Settings
    writer: TableWriter
    schemas: SchemaLookup
    reader: str
    app_id: str

    def replay(
        self,
        replay_id: str,
        reason: str | None,
        exclusive_section: ExclusiveSection,
        should_continue: Callable[[], bool] = lambda: True,
    ) -> Replayed | None:
        """Validate the open dead letters again; None when ``should_continue`` said no before the end.

        ``exclusive_section`` keeps the stream's batches out during a step. A call with the same ``replay_id``
        continues where the one before ended.

        Raises:
            UnavailableError: the registry did not answer, or a batch of the stream is half written.
        """
        lake = self.settings.lake
        with exclusive_section():
            self.finish()
            before = resolved_by(lake, self.exchange, replay_id)
            wanted = open_coordinates(lake, self.exchange, reason)
        known = self._schemas_of(wanted)
        for chunk in in_chunks(wanted, STEP):
            if not should_continue():
                return None
            with exclusive_section():
                self._step(replay_id, chunk, known)
        after = resolved_by(lake, self.exchange, replay_id)
        return Replayed(
            self.exchange.name,
            replay_id,
            considered=wanted.num_rows + sum(before.values()),
            trades=after.get(TRADE, 0),
            duplicates=after.get(DUPLICATE, 0),
        )

    def handle(
        self,
        request: Request,
        exclusive_section: ExclusiveSection,
        should_continue: Callable[[], bool],
    ) -> dict[str, Any] | None:
        """Execute a request to replay; its option ``reason`` is that of :meth:`replay`."""
        reason = request.options.get("reason")
        replayed = self.replay(request.id, reason, exclusive_section, should_continue)
        return None if replayed is None else asdict(replayed) | {"unresolved": replayed.unresolved}

    def finish(self) -> None:
        """Write the steps that a crash left in the journal, and add them to the index."""
        for txn, decided in self._journal.unfinished():
            self._write(txn, decided)

    @property
    def _state(self) -> Path:
        return self.settings.checkpoint(self.app_id)

    @property
    def _journal(self) -> ReplayJournal:
        return ReplayJournal(self._state / "replays")

    def _schemas_of(self, wanted: pa.Table) -> dict[int, str | None]:
        ids = pc.unique(wanted["schema_id"]).drop_null().to_pylist()
        return {id_: self.schemas.schema_by_id(id_) for id_ in sorted(ids)}

    def _step(self, replay_id: str, coordinates: pa.Table, known: dict[int, str | None]) -> None:
        records = records_of(self.settings.lake, self.exchange, coordinates)
        instruments = InstrumentLists(self.settings).current(self.exchange.name)
        judged = to_silver(records, self.exchange, known, self.reader, instruments)
        trades = judged.filter(pc.equal(judged["outcome"], TRADE)).combine_chunks()
        if not trades.num_rows:
            return
        with closing(self._level_index()) as seen:
            found = seen.find_duplicates(trades)
        decided = _marked(trades, found, replay_id, datetime.now(UTC))
        app = replay_app(replay_id)
        ledger = ensure_table(self.settings.lake, resolutions(self.exchange))
        written = ledger.transaction_version(app)
        txn = TxnId(app, 0 if written is None else written + 1)
        self._journal.keep(txn, decided)
        self._write(txn, decided)

    def _write(self, txn: TxnId, decided: pa.Table) -> None:
        trades = decided.filter(pc.equal(decided["outcome"], TRADE)).combine_chunks()
        batch = self.writer.hold(decided)
        if trades.num_rows:
            silver = silver_trades(self.exchange)
            batch.select(*silver.columns, outcome=TRADE).append(silver, txn)
        if trades.num_rows < decided.num_rows:
            dup = duplicates(self.exchange)
            batch.select(*dup.columns, outcome=DUPLICATE).append(dup, txn)
        batch.append(resolutions(self.exchange), txn)
        with closing(DedupIndex(self._state / "seen-trades.db")) as seen:
            seen.add(seen.find_duplicates(trades))
        self._journal.delete_entry(txn)

    def _level_index(self) -> DedupIndex:
        """Open the index, rebuilt if it was lost, once it holds every batch that Silver has.

        A batch that has written Silver but not the index will run again, and must find the index unchanged:
        nothing may be added in between.
        """
        silver = open_table(self.settings.lake, silver_trades(self.exchange))
        newest = None if silver is None else silver.transaction_version(self.app_id)
        seen = DedupIndex(self._state / "seen-trades.db")
        if silver is None or newest is None or seen.applied_batch >= newest:
            return seen
        if not (self._state / "commits" / str(newest)).exists():
            seen.close()
            raise UnavailableError(
                f"Batch {newest} of {self.app_id} is half written and must end before a replay; "
                "`k2 up` or `k2 drain` ends it. Then try again."
            )
        seen.rebuild(stored_records(self.settings.lake, self.exchange), newest)
        return seen


def _marked(trades: pa.Table, found: DedupResult, replay_id: str, now: datetime) -> pa.Table:
    """Add the columns of the resolutions table and a duplicate's reason; ``outcome`` becomes trade or duplicate."""
    count = trades.num_rows
    instant = pa.timestamp("us", tz="UTC")
    columns = {
        "outcome": pc.if_else(pa.array(found.duplicates), DUPLICATE, TRADE),
        "reason": pc.if_else(pa.array(found.overlaps), OVERLAPS, REPEATED),
        "replay_id": pa.array([replay_id] * count, pa.string()),
        "resolved_at": pa.array([now] * count, instant),
        "resolved_date": pa.array([now.date()] * count, pa.date32()),
    }
    marked = trades.drop_columns(["outcome", "reason"])
    for name, values in columns.items():
        marked = marked.append_column(name, values)
    return marked

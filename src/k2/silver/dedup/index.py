"""The dedup index: which trades Silver has, of any age, in bounded memory.

Trades with ids are kept as ranges of ids for each market (:mod:`k2.silver.dedup.seen_numbers`), other trades
as keys in SQLite that begin with the trade's time: trades of about the same time lie in the same pages, so
that a batch costs the same however many keys there are. No trade is ever dropped from the index.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from k2.silver.dedup.id_ranges import IdRanges
from k2.silver.dedup.id_search import NEW, OVERLAPS, REPEATED, IdBatch, find_repeated_ids
from k2.silver.dedup.seen_numbers import SCHEMA, BlockKey, SeenNumbers

_LAYOUT = 2  # raised when the tables below change; another layout is made anew from Silver
_TABLES = ("applied", "ranges", "keys")
_SCHEMA = f"""
create table if not exists applied (only_row integer primary key check (only_row = 0), batch integer);
create table if not exists keys (key blob primary key) without rowid;
{SCHEMA}
pragma user_version = {_LAYOUT};
"""
_NOTHING = -1
_KEYS_AT_ONCE = 1_000

_ID_DIGITS = 16  # of a message id, at its end; what comes before names exchange, day and space

# What `DedupIndex.find_duplicates` needs of a trade, or of a filler.
NEEDED = ("message_id", "first_trade_id", "last_trade_id", "timestamp", "partition", "offset")


@dataclass
class DedupResult:
    """The outcome of each row of a batch, and what the batch adds to the seen trades.

    ``outcomes`` has of each row whether it is new, repeated or overlaps.
    """

    outcomes: npt.NDArray[np.int8]
    ranges: dict[BlockKey, IdRanges] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)

    @property
    def duplicates(self) -> npt.NDArray[np.bool_]:
        """Which rows are duplicates, wholly or in part; null of a filler."""
        duplicates: npt.NDArray[np.bool_] = self.outcomes != NEW
        return duplicates

    @property
    def overlaps(self) -> npt.NDArray[np.bool_]:
        """Which of the duplicates also have fills that were not seen."""
        overlaps: npt.NDArray[np.bool_] = self.outcomes == OVERLAPS
        return overlaps


class DedupIndex:
    """The trades of one Silver table, kept beside its stream's checkpoint.

    The index is changed after the batch's tables are written, in one transaction with the batch's
    id. A batch that runs again after a crash therefore meets the index as it was the first time.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._numbers = SeenNumbers(self._database)
        try:
            self._prepare()
        except BaseException:
            # Left open, a database that found no room for its files makes the next one fail, too.
            self.close()
            raise

    @property
    def applied_batch(self) -> int:
        """The newest batch that the index holds; -1 for none."""
        row = self._database.execute("select batch from applied").fetchone()
        return _NOTHING if row is None else int(row[0])

    @property
    def range_count(self) -> int:
        """Number of id ranges: what the index of numbered trades grows with."""
        return len(self._numbers)

    def find_duplicates(
        self, records: pa.Table, is_filler: pa.ChunkedArray | None = None
    ) -> DedupResult:
        """Find the duplicates of a batch; the index stays as it is.

        ``records`` has the columns of ``NEEDED``: ``first_trade_id`` and ``last_trade_id`` (int64) are
        the ids of the fills that a row covers, null where the exchange gives none. The rows are
        decided one after the other by partition and offset: by offset, as a market keeps to one
        partition. A filler is an id that the exchange used up without a trade: it is no duplicate,
        and not missing of an aggregate whose other fills were seen.
        """
        found = DedupResult(np.full(records.num_rows, REPEATED, np.int8))
        order = _in_offset_order(records)
        numbered = pc.is_valid(records["first_trade_id"]).to_numpy(zero_copy_only=False)
        fillers = np.zeros(records.num_rows, np.bool_)
        if is_filler is not None:
            fillers = is_filler.to_numpy(zero_copy_only=False)
        self._judge_ids(found, records, order[numbered[order]], fillers)
        self._judge_keys(found, records, order[~(numbered | fillers)[order]])
        return found

    def commit_batch(self, found: DedupResult, batch: int) -> None:
        """Add a batch's trades. Every table of the batch must have been written before."""
        self._take_in(found, batch)

    def add(self, found: DedupResult) -> None:
        """Add trades that reached Silver outside the stream's batches; adding them again changes nothing.

        ``applied_batch`` stays: the stream's own next batch is still to come.
        """
        self._take_in(found, None)

    def rebuild(self, parts: Iterable[tuple[pa.Table, pa.ChunkedArray | None]], batch: int) -> None:
        """Rebuild the index from what the tables have after ``batch``; the other arguments are those of
        :meth:`find_duplicates`."""
        with self._transaction():
            for table in _TABLES:
                self._database.execute(f"delete from {table}")  # noqa: S608 — our own names
        self._numbers.clear()
        for records, is_filler in parts:
            self.add(self.find_duplicates(records, is_filler))
        with self._transaction():
            self._database.execute("insert or replace into applied values (0, ?)", (batch,))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _prepare(self) -> None:
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        if self._database.execute("pragma user_version").fetchone()[0] != _LAYOUT:
            for table in _TABLES:
                self._database.execute(f"drop table if exists {table}")
        self._database.executescript(_SCHEMA)

    def _take_in(self, found: DedupResult, batch: int | None) -> None:
        with self._transaction():
            blocks = self._numbers.write(found.ranges)
            self._database.executemany(
                "insert or ignore into keys values (?)", [(key,) for key in found.keys]
            )
            if batch is not None:
                self._database.execute("insert or replace into applied values (0, ?)", (batch,))
        self._numbers.committed(blocks)

    def _judge_ids(
        self,
        found: DedupResult,
        records: pa.Table,
        rows: npt.NDArray[np.int64],
        is_filler: npt.NDArray[np.bool_],
    ) -> None:
        if not rows.size:
            return
        # All but the id: exchange, day and space. A market may begin its numbers anew some day.
        markets = pc.utf8_slice_codeunits(records["message_id"], 0, -_ID_DIGITS)
        spaces = pc.dictionary_encode(markets.combine_chunks())
        batch = IdBatch(
            spaces.dictionary.to_pylist(),
            spaces.indices.to_numpy()[rows].astype(np.int64),
            _ids(records["first_trade_id"])[rows],
            _ids(records["last_trade_id"])[rows],
            is_filler[rows],
        )
        found.outcomes[rows], found.ranges = find_repeated_ids(batch, self._numbers)

    def _judge_keys(
        self, found: DedupResult, trades: pa.Table, rows: npt.NDArray[np.int64]
    ) -> None:
        chosen = trades.select(["message_id", "timestamp"]).take(pa.array(rows))
        micros = chosen["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        keys = list(map(_key, micros.to_pylist(), chosen["message_id"].to_pylist()))
        known = self._known(keys)
        fresh: set[bytes] = set()
        for row, key in zip(rows.tolist(), keys, strict=True):
            if key not in known and key not in fresh:
                fresh.add(key)
                found.outcomes[row] = NEW
        found.keys.extend(sorted(fresh))

    def _known(self, keys: list[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            query = (
                f"select key from keys where key in ({', '.join('?' * len(part))})"  # noqa: S608
            )
            found.update(key for (key,) in self._database.execute(query, part))
        return found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("begin immediate")
        try:
            yield
            self._database.execute("commit")
        except BaseException:
            if self._database.in_transaction:  # SQLite may have ended it, with the error
                self._database.execute("rollback")
            raise


def _ids(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    ids: npt.NDArray[np.int64] = pc.fill_null(column, 0).to_numpy().astype(np.int64)
    return ids


def _key(time_us: int, message_id: str) -> bytes:
    """The trade's time, then the hash of all its fields, of which the time is one."""
    return (time_us + 2**63).to_bytes(8, "big") + bytes.fromhex(message_id[-32:])


def _in_offset_order(trades: pa.Table) -> npt.NDArray[np.int64]:
    keys = (trades["offset"].to_numpy(), trades["partition"].to_numpy())
    return np.lexsort(keys).astype(np.int64)

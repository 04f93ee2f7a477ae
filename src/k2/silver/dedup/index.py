"""Which trades Silver has, of any age, in bounded memory: the search for duplicates.

Trades with a number are kept as ranges of numbers a market (:mod:`k2.silver.dedup.seen_numbers`), the others
as keys in SQLite that begin with the trade's time: what comes about the same time lies in the same
pages, so that a batch costs the same however many keys there are. Nothing is ever forgotten.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from k2.silver.dedup.id_ranges import IdRanges
from k2.silver.dedup.seen_numbers import BLOCK_BITS, SCHEMA, Place, SeenNumbers

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

# Of a stored trade, what `with_identity` and `SeenTrades.judge` need.
STORED = ("message_id", "trade_id", "timestamp", "partition", "offset")


@dataclass
class Judgement:
    """Which rows of a batch are duplicates, and what the batch adds to the seen trades."""

    duplicates: npt.NDArray[np.bool_]
    ranges: dict[Place, IdRanges] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)


class SeenTrades:
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

    def judge(self, trades: pa.Table) -> Judgement:
        """Find the duplicates of a batch; the index stays as it is.

        ``trades`` has ``identity_number`` (int64 or null), ``message_id``, ``timestamp`` (µs),
        ``partition`` and ``offset``. Of several records of one trade the first by partition and
        offset is the trade: by offset, as a market keeps to one partition.
        """
        duplicates = np.ones(trades.num_rows, np.bool_)
        judgement = Judgement(duplicates)
        order = _in_offset_order(trades)
        numbered = pc.is_valid(trades["identity_number"]).to_numpy(zero_copy_only=False)
        self._judge_numbers(judgement, trades, order[numbered[order]])
        self._judge_keys(judgement, trades, order[~numbered[order]])
        return judgement

    def apply(self, judgement: Judgement, batch: int) -> None:
        """Take in what a batch adds. Every table of the batch must have been written."""
        self._take_in(judgement, batch)

    def add(self, judgement: Judgement) -> None:
        """Take in trades that reached Silver beside the stream's batches; again changes nothing.

        ``applied_batch`` stays: the stream's own next batch is still to come.
        """
        self._take_in(judgement, None)

    def rebuild(self, trades: Iterable[pa.Table], batch: int) -> None:
        """Start over from the trades of the Silver table as they are after ``batch``."""
        with self._transaction():
            for table in _TABLES:
                self._database.execute(f"delete from {table}")  # noqa: S608 — our own names
        self._numbers.forget()
        for part in trades:
            self.add(self.judge(part))
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

    def _take_in(self, judgement: Judgement, batch: int | None) -> None:
        with self._transaction():
            blocks = self._numbers.write(judgement.ranges)
            self._database.executemany(
                "insert or ignore into keys values (?)", [(key,) for key in judgement.keys]
            )
            if batch is not None:
                self._database.execute("insert or replace into applied values (0, ?)", (batch,))
        self._numbers.committed(blocks)

    def _judge_numbers(
        self, judgement: Judgement, trades: pa.Table, rows: npt.NDArray[np.int64]
    ) -> None:
        if not rows.size:
            return
        # All but the number: exchange, day and space. A market may begin its numbers anew some day.
        markets = pc.utf8_slice_codeunits(trades["message_id"], 0, -16)
        spaces = pc.dictionary_encode(markets.combine_chunks())
        codes = spaces.indices.to_numpy(zero_copy_only=False)[rows]
        numbers = pc.fill_null(trades["identity_number"], 0).to_numpy().astype(np.int64)[rows]
        by_number = np.lexsort((numbers, codes))  # stable: of equal ones the first by offset leads
        rows, codes, numbers = rows[by_number], codes[by_number], numbers[by_number]
        blocks = numbers >> BLOCK_BITS
        starts = _changes(codes) | _changes(blocks)
        first = np.flatnonzero(_changes(codes) | _changes(numbers))
        groups = (np.cumsum(starts) - 1)[first]
        rows, numbers = rows[first], numbers[first]
        places = [
            (spaces.dictionary[code].as_py(), block)
            for code, block in zip(codes[starts].tolist(), blocks[starts].tolist(), strict=True)
        ]
        is_new = ~self._numbers.contain(places, groups, numbers)
        judgement.duplicates[rows[is_new]] = False
        groups, numbers = groups[is_new], numbers[is_new]
        ends = [*np.flatnonzero(_changes(groups)).tolist(), groups.size]
        for start, end in pairwise(ends):
            judgement.ranges[places[groups[start]]] = IdRanges.of(numbers[start:end])

    def _judge_keys(
        self, judgement: Judgement, trades: pa.Table, rows: npt.NDArray[np.int64]
    ) -> None:
        chosen = trades.select(["message_id", "timestamp"]).take(pa.array(rows))
        micros = chosen["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        keys = list(map(_key, micros.to_pylist(), chosen["message_id"].to_pylist()))
        known = self._known(keys)
        fresh: set[bytes] = set()
        for row, key in zip(rows.tolist(), keys, strict=True):
            if key not in known and key not in fresh:
                fresh.add(key)
                judgement.duplicates[row] = False
        judgement.keys.extend(sorted(fresh))

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


def with_identity(silver: pa.Table) -> pa.Table:
    """Add ``identity_number`` to Silver rows, out of their ``message_id``.

    A numbered trade's hash is its space and its number (:mod:`k2.silver.identity`); a trade that
    the exchange gave no id has the whole hash for its ``trade_id``.
    """
    hashes = pc.utf8_slice_codeunits(silver["message_id"], -32)
    is_numbered = pc.not_equal(hashes, silver["trade_id"])
    numbers = [
        int(hash_[16:], 16) if numbered else None
        for hash_, numbered in zip(hashes.to_pylist(), is_numbered.to_pylist(), strict=True)
    ]
    signed = [n - 2**64 if n is not None and n >= 2**63 else n for n in numbers]
    return silver.append_column("identity_number", pa.array(signed, pa.int64()))


def _key(time_us: int, message_id: str) -> bytes:
    """The trade's time, then the hash of all its fields, of which the time is one."""
    return (time_us + 2**63).to_bytes(8, "big") + bytes.fromhex(message_id[-32:])


def _changes(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where a sorted array has another value than before; true at its start."""
    return np.concatenate((np.ones(min(values.size, 1), np.bool_), values[1:] != values[:-1]))


def _in_offset_order(trades: pa.Table) -> npt.NDArray[np.int64]:
    keys = (trades["offset"].to_numpy(), trades["partition"].to_numpy())
    return np.lexsort(keys).astype(np.int64)

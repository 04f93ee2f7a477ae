"""Which trades Silver has, of any age, in bounded memory: the search for duplicates.

Trades with a number are kept as ranges of numbers a market (:mod:`k2.transforms.id_ranges`), the
others as 16-byte keys in SQLite, of which only the touched pages are in memory. Nothing is ever
forgotten.
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

from k2.transforms.id_ranges import IdRanges, Numbers

_SCHEMA = """
create table if not exists applied (only_row integer primary key check (only_row = 0), batch integer);
create table if not exists ranges (space text primary key, lows blob, highs blob) without rowid;
create table if not exists keys (key blob primary key) without rowid;
"""
_NOTHING = -1


@dataclass
class Judgement:
    """Which rows of a batch are duplicates, and what the batch adds to the seen trades."""

    duplicates: npt.NDArray[np.bool_]
    ranges: dict[str, IdRanges] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)


class SeenTrades:
    """The trades of one Silver table, kept beside its stream's checkpoint.

    The index is changed after the batch's tables are written, in one transaction with the batch's
    id. A batch that runs again after a crash therefore meets the index as it was the first time.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.executescript(_SCHEMA)
        self._ranges = {
            space: IdRanges(np.frombuffer(lows, np.int64), np.frombuffer(highs, np.int64))
            for space, lows, highs in self._database.execute(
                "select space, lows, highs from ranges"
            )
        }

    @property
    def applied_batch(self) -> int:
        """The newest batch that the index holds; -1 for none."""
        row = self._database.execute("select batch from applied").fetchone()
        return _NOTHING if row is None else int(row[0])

    @property
    def range_count(self) -> int:
        """Number of id ranges: what the memory of the index grows with."""
        return sum(len(ranges) for ranges in self._ranges.values())

    def judge(self, trades: pa.Table) -> Judgement:
        """Find the duplicates of a batch; the index stays as it is.

        ``trades`` has ``identity_number`` (int64 or null), ``message_id``, ``partition`` and
        ``offset``. Of several records of one trade the first by
        partition and offset is the trade: by offset, as a market keeps to one partition.
        """
        duplicates = np.ones(trades.num_rows, np.bool_)
        judgement = Judgement(duplicates)
        order = _in_offset_order(trades)
        numbered = pc.is_valid(trades["identity_number"]).to_numpy(zero_copy_only=False)
        # All but the number: exchange, day and space. A market may begin its numbers anew some day.
        markets = pc.utf8_slice_codeunits(trades["message_id"], 0, -16)
        spaces = pc.dictionary_encode(markets.combine_chunks())
        codes = spaces.indices.to_numpy(zero_copy_only=False)
        numbers = pc.fill_null(trades["identity_number"], 0).to_numpy().astype(np.int64)
        rows = order[numbered[order]]
        for code in np.unique(codes[rows]).tolist():
            space, mine = spaces.dictionary[code].as_py(), rows[codes[rows] == code]
            self._judge_numbers(judgement, space, mine, numbers[mine])
        self._judge_keys(judgement, order[~numbered[order]], trades["message_id"])
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
            for table in ("applied", "ranges", "keys"):
                self._database.execute(f"delete from {table}")  # noqa: S608 — our own names
        self._ranges = {}
        for part in trades:
            self.add(self.judge(part))
        with self._transaction():
            self._database.execute("insert or replace into applied values (0, ?)", (batch,))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _take_in(self, judgement: Judgement, batch: int | None) -> None:
        merged = {
            space: self._ranges.get(space, IdRanges.empty()).union(new)
            for space, new in judgement.ranges.items()
        }
        with self._transaction():
            self._database.executemany(
                "insert or replace into ranges values (?, ?, ?)",
                [(space, r.lows.tobytes(), r.highs.tobytes()) for space, r in merged.items()],
            )
            self._database.executemany(
                "insert or ignore into keys values (?)", [(key,) for key in judgement.keys]
            )
            if batch is not None:
                self._database.execute("insert or replace into applied values (0, ?)", (batch,))
        self._ranges.update(merged)

    def _judge_numbers(
        self, judgement: Judgement, space: str, rows: npt.NDArray[np.int64], numbers: Numbers
    ) -> None:
        fresh, first = np.unique(numbers, return_index=True)
        is_new = ~self._ranges.get(space, IdRanges.empty()).contains(fresh)
        judgement.duplicates[rows[first[is_new]]] = False
        if is_new.any():
            judgement.ranges[space] = IdRanges.of(fresh[is_new])

    def _judge_keys(
        self, judgement: Judgement, rows: npt.NDArray[np.int64], message_ids: pa.ChunkedArray
    ) -> None:
        met: set[bytes] = set()
        for row, message_id in zip(
            rows.tolist(), message_ids.take(pa.array(rows)).to_pylist(), strict=True
        ):
            key = _key(message_id)
            known = self._database.execute("select 1 from keys where key = ?", (key,)).fetchone()
            if known is None and key not in met:
                met.add(key)
                judgement.duplicates[row] = False
        judgement.keys.extend(met)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")


def with_identity(silver: pa.Table) -> pa.Table:
    """Add ``identity_space`` and ``identity_number`` to Silver rows, out of their ``message_id``.

    A numbered trade's hash is its space and its number (:mod:`k2.transforms.identity`); a trade that
    the exchange gave no id has the whole hash for its ``trade_id``.
    """
    hashes = pc.utf8_slice_codeunits(silver["message_id"], -32)
    is_numbered = pc.not_equal(hashes, silver["trade_id"])
    numbers = [
        int(hash_[16:], 16) if numbered else None
        for hash_, numbered in zip(hashes.to_pylist(), is_numbered.to_pylist(), strict=True)
    ]
    signed = [n - 2**64 if n is not None and n >= 2**63 else n for n in numbers]
    return silver.append_column(
        "identity_space", pc.utf8_slice_codeunits(hashes, 0, 16)
    ).append_column("identity_number", pa.array(signed, pa.int64()))


def _key(message_id: str) -> bytes:
    """The day, then the hash: a day's keys lie side by side, so few pages are touched."""
    _, day, identity = message_id.rsplit("-", 2)
    return int(day).to_bytes(4, "big") + bytes.fromhex(identity)


def _in_offset_order(trades: pa.Table) -> npt.NDArray[np.int64]:
    keys = (trades["offset"].to_numpy(), trades["partition"].to_numpy())
    return np.lexsort(keys).astype(np.int64)

"""Batches to Delta through Arrow and delta-rs, on the driver: little CPU for small batches.

Spark collects the rows once; filters, projections and commits cost no Spark job.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from threading import RLock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from k2.storage.delta import NOTHING_ELSE, named_errors, table_path
from k2.storage.exact_types import rebuilt
from k2.storage.handles import TableHandle
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.maintenance.small_files import keep_log, merge_small_files
from k2.storage.parquet_encoding import QUICK, layout
from k2.storage.table import Table
from k2.storage.table_checksum import keep_checksum
from k2.storage.writers.writer import ALL, AppendResult, Rows, Transform, TxnId

# As delta-rs reckons: some 30,000 trades. Whoever reads the table on has a file in memory whole.
_FILE_BYTES = 4_000_000
# Fewer make a transform dearer: with 25,000 a fifth.
_ROWS_AT_ONCE = 50_000


@dataclass
class ArrowWriter:
    """Writes to the tables under ``lake``; see :class:`~k2.storage.writers.writer.TableWriter`.

    It keeps the tables open, which is right because nobody else writes them meanwhile. Threads may write
    different tables, and ask of any. Without a ``retention`` the tables' logs stay whole.
    """

    lake: Path
    retention: LogRetention | None = None
    _open: dict[str, TableHandle] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _locks: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def batch(self, rows: DataFrame, reused: bool = False) -> Iterator["ArrowBatch"]:
        """Open a batch: run its query once and hold the result."""
        del reused  # one collect serves every use
        yield self.hold(rows.toArrow())

    def hold(self, rows: pa.Table) -> "ArrowBatch":
        """Return rows as a batch."""
        return ArrowBatch(self, rows)

    def version(self, table: Table) -> int:
        """Return the table's newest version."""
        with self._alone_at(table):
            return int(self._stored(table).version())

    def table_id(self, table: Table) -> str:
        """Return the id that the table's log gives it, for good."""
        if table.name not in self._ids:
            with self._alone_at(table):
                self._ids[table.name] = str(self._stored(table).metadata().id)
        return self._ids[table.name]

    def append(self, table: Table, txn: TxnId, rows: pa.Table) -> AppendResult:
        """Append rows that have the table's columns, unless the table has the batch already."""
        with self._alone_at(table):
            return self._append(table, txn, rows)

    def _alone_at(self, table: Table) -> AbstractContextManager[Any]:
        lock: AbstractContextManager[Any] = self._locks.setdefault(table.name, RLock())
        return lock

    def _append(self, table: Table, txn: TxnId, rows: pa.Table) -> AppendResult:
        stored = self._stored(table)
        written = stored.transaction_version(txn.app_id)
        if written is not None and written >= txn.version:
            return AppendResult()
        with named_errors(table):
            write_deltalake(
                stored,
                rebuilt(rows, table),
                mode="append",
                target_file_size=_FILE_BYTES,
                writer_properties=layout(table, QUICK),
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(txn.app_id, txn.version)],
                    # Nobody else may commit here, so a conflict is a failure, not a retry.
                    max_commit_retries=0,
                ),
                post_commithook_properties=NOTHING_ELSE,
            )
            keep_log(stored, table, self.retention)
            merge_small_files(stored, table, self.retention)
            keep_checksum(stored, table_path(self.lake, table))
        spread = pc.min_max(rows["kafka_timestamp"])
        oldest, newest = spread["min"].as_py(), spread["max"].as_py()
        return AppendResult(rows.num_rows, oldest, newest, stored.version())

    def _stored(self, table: Table) -> DeltaTable:
        opened = self._open.setdefault(table.name, TableHandle(table_path(self.lake, table)))
        return opened.latest()


@dataclass
class ArrowBatch:
    """A batch in the driver's memory; see :class:`~k2.storage.writers.writer.Batch`.

    What was chosen last is kept: what Silver took is what Gold is made of.
    """

    writer: ArrowWriter
    rows: pa.Table
    _last: tuple[Rows, pa.Table] | None = None

    def map_arrow(self, transform: Transform, columns: StructType) -> "ArrowBatch":
        """Transform some rows after the other: what is made on the way needs no more memory than theirs."""
        del columns  # they come with the rows
        parts = range(0, max(self.rows.num_rows, 1), _ROWS_AT_ONCE)
        made = [transform(self.rows.slice(first, _ROWS_AT_ONCE)) for first in parts]
        return ArrowBatch(self.writer, pa.concat_tables(made))

    def distinct(self, name: str) -> set[Any]:
        """Find a column's values."""
        return set(pc.unique(self.rows[name]).drop_null().to_pylist())

    def append(self, table: Table, txn: TxnId, rows: Rows = ALL) -> AppendResult:
        """Append the chosen rows."""
        return self.writer.append(table, txn, self.columns(*table.columns, of=rows))

    def columns(self, *names: str, of: Rows = ALL) -> pa.Table:
        """Select some columns of the chosen rows."""
        if self._last is not None and self._last[0] is of:
            there = self._last[1]
            if set(names) <= set(there.column_names):
                return there.select(list(names))
        chosen = self._chosen(names, of)
        self._last = (of, chosen)
        return chosen

    def _chosen(self, names: Sequence[str], of: Rows) -> pa.Table:
        wanted = []
        if of.outcome is not None:
            wanted.append(pc.equal(self.rows["outcome"], of.outcome))
        if of.records is not None and (of.only_records or of.records.num_rows):
            is_named = pc.is_in(_record(self.rows), _record(of.records).combine_chunks())
            wanted.append(is_named if of.only_records else pc.invert(is_named))
        chosen = self.rows.select(list(names))
        return chosen.filter(reduce(pc.and_, wanted)) if wanted else chosen


def _record(rows: pa.Table) -> pa.ChunkedArray:
    """One number for partition and offset: no partition has 2^48 records."""
    partition = pc.shift_left(rows["partition"].cast(pa.int64()), 48)
    return pc.bit_wise_or(partition, rows["offset"])

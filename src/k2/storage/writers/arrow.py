"""Write batches to Delta with Arrow and delta-rs on the driver, which takes little CPU for small batches.

Spark collects the rows once; filters, projections and commits cost no Spark job.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from k2.storage.delta import NOTHING_ELSE, named_errors, table_path
from k2.storage.exact_types import rebuilt
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.maintenance.small_files import keep_log, merge_small_files
from k2.storage.parquet_encoding import QUICK, grouped, layout
from k2.storage.stored_tables import StoredTables
from k2.storage.table import Table
from k2.storage.table_checksum import keep_checksum
from k2.storage.writers.writer import AppendResult, Transform, TxnId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# As delta-rs reckons: some 30,000 trades. Whoever reads the table on has a file in memory whole.
_FILE_BYTES = 4_000_000
_RECORD = ("partition", "offset")
# Fewer make a transform dearer: with 25,000 a fifth.
_ROWS_AT_ONCE = 50_000
_MAX_ATTEMPTS = 5  # at a commit, when others change the table meanwhile


@dataclass
class ArrowWriter:
    """Writes to the tables under ``lake``; see :class:`~k2.storage.writers.writer.TableWriter`.

    It keeps the tables open, which is safe because this process is their only writer. Threads may write
    different tables and read any. Without a ``retention`` the tables' logs are not trimmed.
    """

    lake: Path
    retention: LogRetention | None = None
    runs_on_driver: bool = True
    _tables: StoredTables = field(init=False)
    _ids: dict[str, str] = field(default_factory=dict)
    _locks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tables = StoredTables(self.lake)

    @contextmanager
    def open_batch(self, rows: "DataFrame") -> Iterator["ArrowBatch"]:
        """Open a batch: run its query once and hold the result."""
        yield self.hold(rows.toArrow())

    def hold(self, rows: pa.Table) -> "ArrowBatch":
        """Return rows as a batch."""
        return ArrowBatch(self, rows)

    def trim_logs(self, retention: LogRetention) -> None:
        """Trim a table's log whenever its checkpoint is written."""
        self.retention = retention

    def version(self, table: Table) -> int:
        """Return the table's newest version."""
        with self._alone_at(table):
            return int(self._stored(table).version())

    def table_id(self, table: Table) -> str:
        """Return the table's id, which its log never changes."""
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
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            stored = self._stored(table)
            written = stored.transaction_version(txn.app_id)
            if written is not None and written >= txn.version:
                return AppendResult()
            with named_errors(table):
                try:
                    self._commit(stored, table, txn, rows)
                    break
                except CommitFailedError:
                    # Nobody else of K2 commits here, but OPTIMIZE or ALTER of another engine may.
                    self._tables.handle(table.name).discard()
                    if attempt == _MAX_ATTEMPTS:
                        raise
        self._look_after(stored, table)
        spread = pc.min_max(rows["kafka_timestamp"])
        oldest, newest = spread["min"].as_py(), spread["max"].as_py()
        return AppendResult(rows.num_rows, oldest, newest, stored.version())

    def _commit(self, stored: DeltaTable, table: Table, txn: TxnId, rows: pa.Table) -> None:
        write_deltalake(
            stored,
            grouped(rebuilt(rows, table), table),
            mode="append",
            target_file_size=_FILE_BYTES,
            writer_properties=layout(table, QUICK),
            commit_properties=CommitProperties(
                app_transactions=[Transaction(txn.app_id, txn.version)],
                # A retry of delta-rs's own would not look whether the table has the batch.
                max_commit_retries=0,
            ),
            post_commithook_properties=NOTHING_ELSE,
        )

    def _look_after(self, stored: DeltaTable, table: Table) -> None:
        with named_errors(table):
            keep_log(stored, table, self.retention)
            try:
                merge_small_files(stored, table, self.retention)
            except CommitFailedError:
                self._tables.handle(table.name).discard()  # the next commit merges them
                return
            keep_checksum(stored, table_path(self.lake, table))

    def _stored(self, table: Table) -> DeltaTable:
        return self._tables.handle(table.name).latest()


@dataclass(frozen=True)
class ArrowBatch:
    """A batch in the driver's memory; see :class:`~k2.storage.writers.writer.Batch`."""

    writer: ArrowWriter
    rows: pa.Table

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows."""
        return bool(self.rows.num_rows == 0)

    @property
    def nbytes(self) -> int:
        """How many bytes its rows take."""
        return int(self.rows.nbytes)

    def map_arrow(
        self, transform: Transform, schema: pa.Schema, reused: bool = False
    ) -> "ArrowBatch":
        """Transform the rows in chunks, so that intermediate results need memory for one chunk only."""
        del schema, reused  # the columns come with the rows, which stay in memory anyway
        parts = range(0, max(self.rows.num_rows, 1), _ROWS_AT_ONCE)
        made = [transform(self.rows.slice(first, _ROWS_AT_ONCE)) for first in parts]
        return ArrowBatch(self.writer, pa.concat_tables(made))

    def update(self, records: pa.Table) -> "ArrowBatch":
        """Find the records by one number each, of partition and offset."""
        if not records.num_rows:
            return self
        place = pc.index_in(_record(self.rows), _record(records).combine_chunks())
        is_named, rows = pc.is_valid(place), self.rows
        for name in records.column_names:
            if name not in _RECORD:
                value = pc.if_else(is_named, records[name].take(place), rows[name])
                rows = rows.set_column(rows.schema.get_field_index(name), name, value)
        return ArrowBatch(self.writer, rows)

    def select(self, *columns: str, outcome: str | None = None) -> "ArrowBatch":
        """Choose rows and columns."""
        rows = self.rows.select(list(columns))
        if outcome is not None:
            rows = rows.filter(pc.equal(self.rows["outcome"], outcome))
        return ArrowBatch(self.writer, rows)

    def to_arrow(self, *columns: str) -> pa.Table:
        """Return some columns."""
        return self.rows.select(list(columns)) if columns else self.rows

    def distinct(self, name: str) -> set[Any]:
        """Find a column's values."""
        return set(pc.unique(self.rows[name]).drop_null().to_pylist())

    def append(self, table: Table, txn: TxnId, count: str | None = None) -> AppendResult:
        """Append the rows."""
        appended = self.writer.append(table, txn, self.rows.select(table.columns))
        if count is None or appended.version is None:
            return appended
        return appended._replace(counted=pc.sum(self.rows[count]).as_py() or 0)


def _record(rows: pa.Table) -> pa.ChunkedArray:
    """One number for partition and offset: no partition has 2^48 records."""
    partition = pc.shift_left(rows["partition"].cast(pa.int64()), 48)
    return pc.bit_wise_or(partition, rows["offset"])

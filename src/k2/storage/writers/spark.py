"""Batches to Delta with Spark's own writer: rows never leave the executors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from k2.home.paths import file_uri
from k2.storage.delta import table_path
from k2.storage.delta_log import appended_after, newest_version
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.map_in_arrow import map_in_arrow
from k2.storage.writers.writer import ALL, AppendResult, Batch, Rows, Transform, TxnId

_RECORD = ["partition", "offset"]
_FILE_ROWS = 50_000


@dataclass(frozen=True)
class SparkWriter:
    """Writes to the tables under ``lake``; see :class:`~k2.storage.writers.writer.TableWriter`."""

    lake: Path

    @contextmanager
    def batch(self, rows: DataFrame, reused: bool = False) -> Iterator["SparkBatch"]:
        """Open a batch; what a reused one is mapped to is kept, spilling to disk, until it is closed."""
        batch = SparkBatch(self.lake, rows, reused)
        try:
            yield batch
        finally:
            for kept in batch.kept:
                kept.unpersist()

    def hold(self, rows: pa.Table) -> Batch:
        """Return rows as a batch of the other writer's: they are few."""
        return ArrowWriter(self.lake).hold(rows)


@dataclass(frozen=True)
class SparkBatch:
    """A batch that stays a DataFrame; see :class:`~k2.storage.writers.writer.Batch`."""

    lake: Path
    rows: DataFrame
    reused: bool = False
    kept: list[DataFrame] = field(default_factory=list)

    def map_arrow(self, transform: Transform, columns: StructType) -> "SparkBatch":
        """Transform the rows where they are, some at a time."""
        made = map_in_arrow(self.rows, transform, columns)
        if self.reused:
            self.kept.append(made.persist())
        return SparkBatch(self.lake, made, self.reused, self.kept)

    def columns(self, *names: str, of: Rows = ALL) -> pa.Table:
        """Collect some columns."""
        return self._chosen(of).select(*names).toArrow()

    def distinct(self, name: str) -> set[Any]:
        """Collect a column's values."""
        found = self.rows.select(name).where(F.col(name).isNotNull()).distinct()
        return set(found.toArrow()[name].to_pylist())

    def append(self, table: Table, txn: TxnId, rows: Rows = ALL) -> AppendResult:
        """Append with Delta's transaction id, which skips what the table already has."""
        path = table_path(self.lake, table)
        before = newest_version(path)
        (
            self._chosen(rows)
            .select(*table.columns)
            .write.format("delta")
            .mode("append")
            .option("txnAppId", txn.app_id)
            .option("txnVersion", txn.version)
            # Whoever reads the table on has a file in memory whole.
            .option("maxRecordsPerFile", _FILE_ROWS)
            .save(file_uri(path))
        )
        return appended_after(path, before)

    def _chosen(self, rows: Rows) -> DataFrame:
        chosen = self.rows
        if rows.outcome is not None:
            chosen = chosen.where(F.col("outcome") == rows.outcome)
        if rows.records is not None and (rows.only_records or rows.records.num_rows):
            named = chosen.sparkSession.createDataFrame(rows.records)
            how = "left_semi" if rows.only_records else "left_anti"
            chosen = chosen.join(F.broadcast(named), _RECORD, how)
        return chosen

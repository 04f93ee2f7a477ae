"""Write batches to Delta with Spark's own writer: rows never leave the executors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from k2.home.paths import file_uri
from k2.storage.delta import table_path
from k2.storage.delta_log import appended_after, newest_version
from k2.storage.handles import TableHandle
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.map_in_arrow import map_in_arrow
from k2.storage.writers.writer import AppendResult, Batch, Transform, TxnId

_RECORD = ["partition", "offset"]
_FILE_ROWS = 50_000
_COUNT = "count"


@dataclass(frozen=True)
class SparkWriter:
    """Writes to the tables under ``lake``; see :class:`~k2.storage.writers.writer.TableWriter`."""

    lake: Path
    runs_on_driver: bool = False

    @contextmanager
    def open_batch(self, rows: DataFrame) -> Iterator["SparkBatch"]:
        """Open a batch; results that are read again are cached, on disk if need be, until it is closed."""
        batch = SparkBatch(self.lake, rows)
        try:
            yield batch
        finally:
            for kept in batch.kept:
                kept.unpersist()

    def hold(self, rows: pa.Table) -> Batch:
        """Return rows, which are few, as a batch of the Arrow writer."""
        return ArrowWriter(self.lake).hold(rows)

    def version(self, table: Table) -> int:
        """Return the table's newest version."""
        return newest_version(table_path(self.lake, table))

    def table_id(self, table: Table) -> str:
        """Return the table's id."""
        return str(TableHandle(table_path(self.lake, table)).latest().metadata().id)

    def trim_logs(self, retention: LogRetention) -> None:
        """Do nothing: Delta itself trims the logs of what Spark writes."""


@dataclass(frozen=True)
class SparkBatch:
    """A batch that stays a DataFrame; see :class:`~k2.storage.writers.writer.Batch`."""

    lake: Path
    rows: DataFrame
    kept: list[DataFrame] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Look for one row."""
        return bool(self.rows.isEmpty())

    @property
    def nbytes(self) -> int:
        """0: its rows are on the executors."""
        return 0

    def map_arrow(
        self, transform: Transform, schema: pa.Schema, reused: bool = False
    ) -> "SparkBatch":
        """Transform the rows on the executors, in chunks."""
        mapped = map_in_arrow(self.rows, transform, to_spark_schema(schema))
        if reused:
            self.kept.append(mapped.persist())
        return replace(self, rows=mapped)

    def update(self, records: pa.Table) -> "SparkBatch":
        """Find the records in a table that is broadcast to every executor."""
        if not records.num_rows:
            return self
        names = [name for name in records.column_names if name not in _RECORD]
        new = {name: f"new_{name}" for name in names}
        named = self.rows.sparkSession.createDataFrame(records).withColumnsRenamed(new)
        joined = self.rows.join(F.broadcast(named), _RECORD, "left")
        values = {name: F.coalesce(new[name], name) for name in names}
        return replace(self, rows=joined.withColumns(values).drop(*new.values()))

    def select(self, *columns: str, outcome: str | None = None) -> "SparkBatch":
        """Choose rows and columns."""
        rows = self.rows if outcome is None else self.rows.where(F.col("outcome") == outcome)
        return replace(self, rows=rows.select(*columns))

    def to_arrow(self, *columns: str) -> pa.Table:
        """Collect some columns."""
        return self.rows.select(*(columns or ("*",))).toArrow()

    def distinct(self, name: str) -> set[Any]:
        """Collect a column's values."""
        found = self.rows.select(name).where(F.col(name).isNotNull()).distinct()
        return set(found.toArrow()[name].to_pylist())

    def append(self, table: Table, txn: TxnId, count: str | None = None) -> AppendResult:
        """Append with Delta's transaction id, which skips what the table already has."""
        path = table_path(self.lake, table)
        before = newest_version(path)
        rows, counted = self.rows, Observation()
        if count is not None:  # in the pass that writes them
            rows = rows.observe(counted, F.count_if(count).alias(_COUNT))
        (
            rows.select(*table.columns)
            .write.format("delta")
            .mode("append")
            .option("txnAppId", txn.app_id)
            .option("txnVersion", txn.version)
            # Whoever reads the table on has a file in memory whole.
            .option("maxRecordsPerFile", _FILE_ROWS)
            .save(file_uri(path))
        )
        appended = appended_after(path, before)
        if count is None or appended.version is None:  # not written: nothing was observed
            return appended
        return appended._replace(counted=int(counted.get[_COUNT]))


def to_spark_schema(schema: pa.Schema) -> StructType:
    """Return Arrow columns as Spark's, without their comments."""
    return from_arrow_schema(schema)

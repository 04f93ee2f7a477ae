"""Batches to Delta with Spark's own writer: rows never leave the executors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from k2.io.commits import appended_after, newest_version
from k2.io.delta import table_path
from k2.io.table_writer import ALL, Appended, Rows, WriteId
from k2.tables import Table

_RECORD = ["partition", "offset"]
_FILE_ROWS = 50_000


@dataclass(frozen=True)
class SparkWriter:
    """Writes to the tables under ``lake``; see :class:`~k2.io.table_writer.TableWriter`."""

    lake: Path

    @contextmanager
    def batch(self, rows: DataFrame, reused: bool = False) -> Iterator["SparkBatch"]:
        """Open a batch; a reused one is kept in memory, spilling to disk, until it is closed."""
        if not reused:
            yield SparkBatch(self.lake, rows)
            return
        rows.persist()
        try:
            yield SparkBatch(self.lake, rows)
        finally:
            rows.unpersist()


@dataclass(frozen=True)
class SparkBatch:
    """A batch that stays a DataFrame; see :class:`~k2.io.table_writer.Batch`."""

    lake: Path
    rows: DataFrame

    def columns(self, *names: str) -> pa.Table:
        """Collect some columns."""
        return self.rows.select(*names).toArrow()

    def append(self, table: Table, write_id: WriteId, rows: Rows = ALL) -> Appended:
        """Append with Delta's transaction id, which skips what the table already has."""
        path = table_path(self.lake, table)
        before = newest_version(path)
        (
            self._chosen(rows)
            .select(*table.columns)
            .write.format("delta")
            .mode("append")
            .option("txnAppId", write_id.app)
            .option("txnVersion", write_id.batch)
            # Whoever reads the table on has a file in memory whole.
            .option("maxRecordsPerFile", _FILE_ROWS)
            .save(str(path))
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

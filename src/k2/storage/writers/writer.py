"""The only way to write a table: a batch is written once, however often it is tried.

Two writers keep one contract. :class:`~k2.storage.writers.spark.SparkWriter` leaves the rows on the
executors, for clusters and big batches; :class:`~k2.storage.writers.arrow.ArrowWriter` brings them to the
driver and commits with delta-rs, at a fifth of the CPU, for small batches on one machine.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from k2.storage.maintenance.log_cleanup import LogRetention
    from k2.storage.table import Table


class TxnId(NamedTuple):
    """Which batch of which stream a write belongs to; a table takes each of them once."""

    app_id: str  # stream name and version
    version: int  # versions of an app only grow


class AppendResult(NamedTuple):
    """What an append added: rows, the oldest and newest broker timestamps among them, the version."""

    rows: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    version: int | None = None  # of the table with these rows; None when it had the batch already
    counted: int = 0  # of the rows, those in which the column asked for is true


NOTHING = AppendResult()


# Pure, and of any part of the rows: it gives the same rows whether it is called once or for each part.
Transform = Callable[["pa.Table"], "pa.Table"]


class Batch(Protocol):
    """The rows of one micro-batch, computed once and written to several tables."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows."""

    @property
    def nbytes(self) -> int:
        """How many bytes of this process's memory its rows take; 0 where they are elsewhere."""

    def map_arrow(self, transform: Transform, schema: "pa.Schema", reused: bool = False) -> "Batch":
        """Return the rows that ``transform`` makes of these, which have the columns of ``schema``.

        ``reused`` says that the result will be read more than once.
        """

    def update(self, records: "pa.Table") -> "Batch":
        """Return the batch with other values in the rows that ``records`` names.

        ``records`` has the columns ``partition`` and ``offset``, which name a row of one topic, and
        those to set. It names no row twice.
        """

    def select(self, *columns: str, outcome: str | None = None) -> "Batch":
        """Return some columns, of the rows with this outcome or of all."""

    def to_arrow(self, *columns: str) -> "pa.Table":
        """Bring some columns, or all, to the driver; rows come in no particular order."""

    def distinct(self, name: str) -> set[Any]:
        """Bring the distinct values of a column to the driver, without null."""

    def append(self, table: "Table", txn: TxnId, count: str | None = None) -> AppendResult:
        """Append the rows to a table, which takes the columns of its definition by name.

        Appending again under the same or an older version of the app id does nothing. ``count`` names a
        boolean column; the result says how often it is true.
        """


class TableWriter(Protocol):
    """Opens batches. The tables exist; this process is the only one that writes them."""

    @property
    def runs_on_driver(self) -> bool:
        """Whether a batch's rows are in this process's memory, so that a chain can forward them."""

    def open_batch(self, rows: "DataFrame") -> AbstractContextManager[Batch]:
        """Open a batch of a query."""

    def hold(self, rows: "pa.Table") -> Batch:
        """Return rows that are on the driver as a batch; they are written from there."""

    def version(self, table: "Table") -> int:
        """Return the table's newest version."""

    def table_id(self, table: "Table") -> str:
        """Return the table's id, which its log never changes."""

    def trim_logs(self, retention: "LogRetention") -> None:
        """From now on remove log entries that nobody needs after commits; without this call logs are not trimmed."""

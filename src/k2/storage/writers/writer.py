"""The one way into a table: a batch is written once, whoever writes it and however often.

Two writers keep one contract. :class:`~k2.storage.writers.spark.SparkWriter` leaves the rows on the
executors, for clusters and big batches; :class:`~k2.storage.writers.arrow.ArrowWriter` brings them to the
driver and commits with delta-rs, at a fifth of the CPU, for small batches on one machine.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from k2.storage.table import Table


class TxnId(NamedTuple):
    """Which batch of which stream a write belongs to; a table takes each of them once."""

    app_id: str  # stream name and version
    version: int  # versions of an app only grow


@dataclass(frozen=True)
class Rows:
    """Which rows of a batch: those with an outcome, but for or only certain records.

    ``records`` has the columns ``partition`` and ``offset`` and names rows of one topic.
    """

    outcome: str | None = None
    records: pa.Table | None = None
    only_records: bool = False


ALL = Rows()


class AppendResult(NamedTuple):
    """What an append added: rows, the oldest and newest broker timestamps among them, the version."""

    rows: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    version: int | None = None  # of the table, as it is since


NOTHING = AppendResult()


# Pure, and of any part of the rows: it gives the same rows whether it is called once or for each part.
Transform = Callable[[pa.Table], pa.Table]


class Batch(Protocol):
    """The rows of one micro-batch, computed once and written to several tables."""

    def map_arrow(self, transform: Transform, columns: StructType) -> "Batch":
        """Return the rows that ``transform`` makes of these, which have these ``columns``."""

    def columns(self, *names: str, of: Rows = ALL) -> pa.Table:
        """Bring some columns of the rows to the driver, in no particular order."""

    def distinct(self, name: str) -> set[Any]:
        """Bring the values of a column to the driver, each once; null is none."""

    def append(self, table: Table, txn: TxnId, rows: Rows = ALL) -> AppendResult:
        """Append rows to a table, which takes the columns of its definition by name.

        A second append under the same or an older id of the app does nothing.
        """


class TableWriter(Protocol):
    """Opens batches. The tables exist; this process is the only one that writes them."""

    def batch(self, rows: DataFrame, reused: bool = False) -> AbstractContextManager[Batch]:
        """Open a batch; ``reused`` says that it will be read more than once."""

    def hold(self, rows: pa.Table) -> Batch:
        """Return rows that are on the driver as a batch; they are written from there."""

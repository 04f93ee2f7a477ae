"""A lake that stream tests fill and run, with places to break it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from k2.engine.engine import Engine
from k2.engine.processor import BatchResult
from k2.engine.stream import Stream
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES, Exchange
from k2.gold.processor import gold_stream
from k2.settings import Settings
from k2.silver.processor import silver_stream
from k2.storage.delta import open_table
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.spark import SparkWriter
from k2.storage.writers.writer import (
    AppendResult,
    Batch,
    TableWriter,
    Transform,
    TxnId,
)
from tests.support.trades import READER, SCHEMA_TEXT, append_bronze

WRITERS = {"spark": SparkWriter, "arrow": ArrowWriter}


class Crash(Exception):
    """Stands for the process dying here."""


@dataclass
class Registry:
    """The schemas of a registry that a test can change and switch off."""

    schemas: dict[int, str] = field(default_factory=lambda: dict(SCHEMA_TEXT))
    cached: dict[int, str] = field(default_factory=dict)
    down: int = 0  # how many more questions get no answer
    asked: list[int] = field(default_factory=list)

    def schema_by_id(self, schema_id: int) -> str | None:
        """Answer, and keep what was answered; what was kept needs no question."""
        if schema_id in self.cached:
            return self.cached[schema_id]
        self.asked.append(schema_id)
        if self.down:
            self.down -= 1
            raise UnavailableError("the registry does not answer")
        schema = self.schemas.get(schema_id)
        if schema is not None:
            self.cached[schema_id] = schema
        return schema


@dataclass
class CrashingWriter:
    """Crashes right after so many appends, once; 0 never does."""

    inner: TableWriter
    crash_after: int = 0
    appended: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        """All else is the real writer's."""
        return getattr(self.inner, name)

    @contextmanager
    def open_batch(self, rows: DataFrame) -> Iterator["CrashingBatch"]:
        """Open a batch of the real writer."""
        with self.inner.open_batch(rows) as batch:
            yield CrashingBatch(batch, self)

    def hold(self, rows: pa.Table) -> "CrashingBatch":
        """Hold rows as the real writer does."""
        return CrashingBatch(self.inner.hold(rows), self)


@dataclass(frozen=True)
class CrashingBatch:
    """A batch of a :class:`CrashingWriter`."""

    inner: Batch
    writer: CrashingWriter

    @property
    def is_empty(self) -> bool:
        """As the real batch."""
        return self.inner.is_empty

    @property
    def nbytes(self) -> int:
        """As the real batch."""
        return self.inner.nbytes

    def map_arrow(
        self, transform: Transform, schema: pa.Schema, reused: bool = False
    ) -> "CrashingBatch":
        """Map the real batch."""
        return CrashingBatch(self.inner.map_arrow(transform, schema, reused), self.writer)

    def update(self, records: pa.Table) -> "CrashingBatch":
        """Update the real batch."""
        return CrashingBatch(self.inner.update(records), self.writer)

    def select(self, *columns: str, outcome: str | None = None) -> "CrashingBatch":
        """Select from the real batch."""
        return CrashingBatch(self.inner.select(*columns, outcome=outcome), self.writer)

    def to_arrow(self, *columns: str) -> pa.Table:
        """As the real batch."""
        return self.inner.to_arrow(*columns)

    def distinct(self, name: str) -> set[Any]:
        """As the real batch."""
        return self.inner.distinct(name)

    def append(self, table: Table, txn: TxnId, count: str | None = None) -> AppendResult:
        """Append, then perhaps crash."""
        appended = self.inner.append(table, txn, count)
        self.writer.appended.append(table.name)
        if self.writer.crash_after:
            self.writer.crash_after -= 1
            if not self.writer.crash_after:
                raise Crash(f"after {table.name}")
        return appended


@dataclass
class Lake:
    """Tables under a home, the streams over them, and what they did."""

    spark: SparkSession
    settings: Settings
    kind: str = "arrow"
    registry: Registry = field(default_factory=Registry)
    reports: list[BatchResult] = field(default_factory=list)
    crash_after: int = 0

    def silver(self, exchange: Exchange) -> Stream:
        """The Silver stream as a process that has just started builds it."""
        return silver_stream(
            exchange, self.settings, self.writer(), self.registry, READER[exchange.name]
        )

    def gold(self) -> Stream:
        """The Gold stream of all exchanges."""
        return gold_stream(EXCHANGES, self.settings, self.writer())

    def run(self, *streams: Stream) -> list[BatchResult]:
        """Run streams until nothing is left; return what their batches reported."""
        before = len(self.reports)
        with Engine(self.spark, self.settings, streams, True, self._note) as engine:
            engine.run_to_end()
        return self.reports[before:]

    def bronze(self, exchange: Exchange, *values: bytes | None, first_offset: int = 0) -> None:
        """Append values to Bronze in one commit."""
        append_bronze(self.settings.lake, exchange, values, first_offset)

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """All rows of a table, by partition and offset."""
        stored = open_table(self.settings.lake, table)
        found = [] if stored is None else stored.to_pyarrow_table().to_pylist()
        return sorted(found, key=lambda row: (row["topic"], row["partition"], row["offset"]))

    def offsets(self, table: Table) -> list[int]:
        """The offsets of a table's rows."""
        return [row["offset"] for row in self.rows(table)]

    def forget_last_commit(self, stream: Stream) -> int:
        """Put the checkpoint back to before its last batch was noted as done; return the batch."""
        commits = stream.checkpoint(self.settings) / "commits"
        last = max(int(path.name) for path in commits.iterdir() if path.name.isdigit())
        (commits / str(last)).unlink()
        (commits / f".{last}.crc").unlink(missing_ok=True)
        return last

    def writer(self) -> CrashingWriter:
        """The writer of a process that has just started."""
        writer = CrashingWriter(WRITERS[self.kind](self.settings.lake), self.crash_after)
        self.crash_after = 0
        return writer

    def _note(self, _stream: Stream, report: BatchResult) -> None:
        self.reports.append(report)

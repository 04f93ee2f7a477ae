"""A stream: a named source, a function that writes a batch, and the promises around them."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from k2.engine.chained_stream import ChainedStream
from k2.errors import StaleCheckpointError
from k2.exchanges import Exchange
from k2.home.half_done_swap import refuse_half_done_swap
from k2.home.locks import exclusive
from k2.home.paths import file_uri
from k2.settings import Settings
from k2.silver.dead_letters.replay import DeadLetterReplay
from k2.storage.checkpoints.offset_log import newest
from k2.storage.checkpoints.sources import admit_sources
from k2.storage.delta import ensure_table
from k2.storage.table import Layer, Table
from k2.storage.writers.writer import NOTHING, AppendResult, TxnId

# PySpark starts the server that a batch calls us by at the first use, and looks for no second one.
_CALLBACKS = threading.Lock()


@dataclass(frozen=True)
class BatchResult:
    """What one batch did: the rows of the main table, and what became of the others."""

    stream: str
    batch_id: int
    written: AppendResult = NOTHING
    dead_letters: dict[str, int] = field(default_factory=dict)  # by error type
    duplicates: int = 0
    observed: Mapping[str, float] = field(default_factory=dict)  # what else was counted of it
    # As a query's, of a batch that was handed on and that no query made.
    progress: Mapping[str, Any] | None = None

    @property
    def rows(self) -> int:
        """Rows that came in."""
        return self.written.rows + sum(self.dead_letters.values()) + self.duplicates


ResultCallback = Callable[[BatchResult], None]


class BatchProcessor(Protocol):
    """Writes one micro-batch to its tables, idempotent by the batch's id."""

    def write(self, rows: DataFrame, txn: TxnId, on_result: ResultCallback) -> None:
        """Write the batch, and tell of it, and of what followers were handed of it.

        Whatever it raises fails the batch, which will run again. What followers are handed may be
        written, and told of, when this has returned.
        """

    def close(self) -> None:
        """Wait for what is still written, and let go of what the sink holds."""


class Collector(Protocol):
    """Keeps what a stream is handed until it is written."""

    @property
    def is_due(self) -> bool:
        """Whether what is here has waited long enough."""

    def write(self) -> BatchResult | None:
        """Write what is here as one batch; None when there was nothing, or it is left."""


@dataclass(frozen=True)
class Stream:
    """Name and version give the query's name, the checkpoint folder and the Delta app id.

    ``audit_tables`` are tables of its own that say what became of rows already in ``tables``. ``mutex``
    is held while a batch is written; whoever else writes the tables takes it. ``unread`` counts what
    is still to take, for a stream whose source is no table. ``follower`` takes what the
    streams before hand on; then the stream has a query of its own only for what they did not. One
    with a ``collector`` writes it when that is due.
    """

    layer: Layer
    exchange: Exchange | None
    version: int
    tables: tuple[Table, ...]
    source: Callable[[SparkSession], DataFrame]
    sink: Callable[[SparkSession], BatchProcessor]
    reads: tuple[Table, ...] = ()
    called: str = ""
    triggers: int = 1  # of the settings' triggers between two batches
    audit_tables: tuple[Table, ...] = ()
    dead_letter_replay: DeadLetterReplay | None = None
    unread: Callable[[], int] | None = field(default=None, compare=False, repr=False)
    follower: ChainedStream | None = field(default=None, compare=False, repr=False)
    collector: Collector | None = field(default=None, compare=False, repr=False)
    mutex: AbstractContextManager[Any] = field(
        default_factory=threading.RLock, compare=False, repr=False
    )

    @property
    def name(self) -> str:
        """The stream's name: ``silver-binance``, ``gold``, or what it is ``called``."""
        if self.called:
            return self.called
        return f"{self.layer}-{self.exchange.name}" if self.exchange else str(self.layer)

    @property
    def app_id(self) -> str:
        """The Delta transaction id's application."""
        return f"{self.name}/v{self.version}"

    def checkpoint(self, settings: Settings) -> Path:
        """The checkpoint folder."""
        return settings.checkpoint(self.app_id)


@dataclass
class RunningStream:
    """A started stream, and what failed in it on the Python side."""

    stream: Stream
    query: StreamingQuery
    sink: "BatchProcessor"
    failure: Exception | None = None


@contextmanager
def reserved(stream: Stream, settings: Settings) -> Iterator[None]:
    """Hold the stream's tables and checkpoint, so that no other process writes them.

    Raises:
        InUseError: another process does.
        ConfigError: an upgrade has moved some of them and not others.
    """
    with exclusive(settings.run / "locks", lock_names(stream), f"stream {stream.name}"):
        refuse_half_done_swap(settings)
        yield


def lock_names(stream: Stream) -> list[str]:
    """Return the locks of who writes the stream's tables and checkpoint."""
    tables = (*stream.tables, *stream.audit_tables)
    return [stream.app_id.replace("/", "-"), *(table.name for table in tables)]


def start(
    stream: Stream,
    spark: SparkSession,
    settings: Settings,
    available_now: bool,
    on_batch: ResultCallback,
    before_batch: Callable[[], None] = lambda: None,
) -> RunningStream:
    """Start a stream whose locks the caller holds (:func:`reserved`).

    ``before_batch`` may hold a batch back; ``on_batch`` is told of what it wrote, itself or in the
    name of the streams that follow.

    Raises:
        K2Error: its tables cannot be written (:func:`prepare`).
    """
    prepare(stream, settings)
    if stream.reads:
        admit_sources(stream.checkpoint(settings), len(stream.reads))
    sink = stream.sink(spark)
    running: list[RunningStream] = []
    failures: list[Exception] = []

    def write(rows: DataFrame, batch_id: int) -> None:
        try:
            before_batch()
            with stream.mutex:
                sink.write(rows, TxnId(stream.app_id, batch_id), on_batch)
        except Exception as error:
            # Spark hands Python's errors on as text; this keeps the error itself.
            failures.append(error)
            if running:
                running[0].failure = error
            raise

    trigger: dict[str, bool | str] = (
        {"availableNow": True}
        if available_now
        else {
            "processingTime": f"{int(settings.trigger_seconds * stream.triggers * 1000)} milliseconds"
        }
    )
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", stream.name)
    writer = (
        stream.source(spark)
        .writeStream.queryName(stream.name)
        .option("checkpointLocation", file_uri(stream.checkpoint(settings)))
        .trigger(**trigger)  # type: ignore[arg-type]
    )
    with _CALLBACKS:
        writer = writer.foreachBatch(write)
    query = writer.start()
    running.append(RunningStream(stream, query, sink, failures[0] if failures else None))
    return running[0]


def prepare(stream: Stream, settings: Settings) -> None:
    """Make the tables that are not there, and check those that are.

    Raises:
        TableDriftError: a table is not as its definition says.
        StaleCheckpointError: a table has batches that the checkpoint does not know.
    """
    for table in (*stream.reads, *stream.tables, *stream.audit_tables):
        ensure_table(settings.lake, table)
    _refuse_stale_checkpoint(stream, settings)


def _refuse_stale_checkpoint(stream: Stream, settings: Settings) -> None:
    newest_planned = newest(stream.checkpoint(settings) / "offsets")
    planned = -1 if newest_planned is None else newest_planned
    for table in stream.tables:
        written = ensure_table(settings.lake, table).transaction_version(stream.app_id)
        if written is not None and written > planned:
            raise StaleCheckpointError(
                f"Table {table.name} has batch {written} of {stream.app_id}, but the checkpoint "
                f"{stream.checkpoint(settings)} only knows batches up to {planned}. Delta would "
                "silently drop what it takes for old batches. Restore the checkpoint, or move the "
                "stream's tables away and start it over."
            )

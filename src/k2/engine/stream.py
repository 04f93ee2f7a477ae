"""What a stream is: a source, a processor of its batches, and the tables that they are written to."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa

from k2.engine.batch_failure import batch_failure
from k2.engine.checkpoint_checks import refuse_other_history
from k2.engine.processor import BatchProcessor, BatchResult, ResultCallback
from k2.engine.table_requests import RequestHandler
from k2.exchanges import Exchange
from k2.home.half_done_swap import refuse_half_done_swap
from k2.home.locks import exclusive
from k2.home.paths import file_uri
from k2.settings import Settings
from k2.storage.checkpoints.sources import admit_sources
from k2.storage.delta import ensure_table
from k2.storage.table import Layer, Table
from k2.storage.writers.writer import TableWriter, Transform, TxnId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from k2.engine.batch_buffer import BatchBuffer
    from k2.engine.chain import Chain
    from k2.engine.chained_stream import ChainedStream

# PySpark starts the server that a batch calls us by at the first use, and looks for no second one.
_CALLBACKS = threading.Lock()


class Watermark(NamedTuple):
    """Event time of a stream's batches: a column, and how far the watermark is behind its newest value."""

    column: str
    delay_minutes: int


class Reduction(NamedTuple):
    """Reduces a batch before it is buffered, so that reduced parts give the same result as the whole."""

    transform: Transform
    schema: pa.Schema


class BalanceCheck(Protocol):
    """Looks for records of one exchange that are missing, doubled or unknown."""

    @property
    def exchange(self) -> Exchange: ...
    def differences(self) -> int:
        """Count the records that are missing, doubled or unknown."""


@dataclass(frozen=True)
class Stream:
    """A source, a processor and the tables that it writes, under one app id.

    ``reads`` are the tables that ``source`` reads; where that is Kafka, ``unread`` counts what
    the records that it has not read. The first of ``tables`` is the main one; ``audit_tables`` record what became
    of rows that are in ``tables`` already. ``requests`` are what its owner executes for others, by kind.
    ``checks`` run beside it. Whoever writes the tables outside a batch holds ``mutex``.

    ``is_in_every_batch`` says that every batch writes the main table, be it without a row. ``check_source``
    raises before a batch when the source is not the one that was read before; ``reread`` reads a batch in
    another way after an error of Spark's that it recognises.

    In a process that chains its streams, ``chain`` passes this stream's batches on, ``chained`` is this
    stream's part in taking them, and ``buffer`` collects them first (:mod:`k2.engine.chain`).
    """

    name: str
    layer: Layer
    exchange: Exchange | None
    version: int
    tables: tuple[Table, ...]
    source: Callable[["SparkSession"], "DataFrame"]
    processor: BatchProcessor = field(compare=False, repr=False)
    writer: TableWriter = field(compare=False, repr=False)
    reads: tuple[Table, ...] = ()
    audit_tables: tuple[Table, ...] = ()
    triggers: int = 1  # of the settings' triggers between two batches
    watermark: Watermark | None = None
    reduction: Reduction | None = field(default=None, compare=False, repr=False)
    requests: Mapping[str, RequestHandler] = field(default_factory=dict, compare=False, repr=False)
    unread: Callable[[], int] | None = field(default=None, compare=False, repr=False)
    is_in_every_batch: bool = False
    check_source: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    reread: "Callable[[SparkSession, int, Exception], DataFrame | None]" = field(
        default=lambda *_: None, compare=False, repr=False
    )
    checks: tuple[BalanceCheck, ...] = field(default=(), compare=False, repr=False)
    is_critical: bool = True  # trades wait for it on their way to Gold
    kind: str = ""  # of its metrics; empty: its layer
    port_offset: int = 0  # of its metrics, after the first stream's port
    chain: "Chain | None" = field(default=None, compare=False, repr=False)
    chained: "ChainedStream | None" = field(default=None, compare=False, repr=False)
    buffer: "BatchBuffer | None" = field(default=None, compare=False, repr=False)
    mutex: AbstractContextManager[Any] = field(
        default_factory=threading.RLock, compare=False, repr=False
    )

    @property
    def app_id(self) -> str:
        """Name and version: the checkpoint's folder, and the application of Delta transactions."""
        return f"{self.name}/v{self.version}"

    @property
    def metrics_kind(self) -> str:
        """Which metrics of the catalogue the stream has."""
        return self.kind or str(self.layer)

    def checkpoint(self, settings: Settings) -> Path:
        """The checkpoint folder."""
        return settings.checkpoint(self.app_id)


@dataclass
class StreamHandle:
    """A started stream, and the exception that its Python side raised, if any."""

    stream: Stream
    query: "StreamingQuery"
    failure: Exception | None = None


@contextmanager
def reserved(stream: Stream, settings: Settings) -> Iterator[None]:
    """Lock the stream's tables and checkpoint, so that no other process writes them.

    Raises:
        InUseError: another process does.
        ConfigError: an upgrade has moved some of them and not others.
    """
    with exclusive(settings.run / "locks", lock_names(stream), f"stream {stream.name}"):
        refuse_half_done_swap(settings)
        yield


def lock_names(stream: Stream) -> list[str]:
    """Return the names of the locks of the stream's tables and checkpoint."""
    tables = (*stream.tables, *stream.audit_tables)
    return [stream.app_id.replace("/", "-"), *(table.name for table in tables)]


def start(
    stream: Stream,
    spark: "SparkSession",
    settings: Settings,
    available_now: bool,
    on_result: ResultCallback,
    before_batch: Callable[[], None] = lambda: None,
) -> StreamHandle:
    """Start a stream's query; the caller holds its locks (:func:`reserved`).

    ``before_batch`` is called in the batch's thread and may hold it back. ``on_result`` gets the result
    of each batch, and of those of the streams that are chained to this one.

    Raises:
        K2Error: its tables cannot be written (:func:`prepare`).
    """
    prepare(stream, settings)
    stream.check_source()
    if stream.reads:
        admit_sources(stream.checkpoint(settings), len(stream.reads))
    running: list[StreamHandle] = []
    failures: list[Exception] = []

    def write(rows: "DataFrame", batch_id: int) -> None:
        """Called by Spark's foreachBatch; raising fails the batch, and Spark runs it again."""
        try:
            before_batch()
            stream.check_source()
            with stream.mutex:
                _process(stream, spark, rows, TxnId(stream.app_id, batch_id), on_result)
        except Exception as error:
            # Spark passes Python's errors on as text; this keeps the error itself.
            failures.append(error)
            if running:
                running[0].failure = error
            raise batch_failure(error) from None

    milliseconds = int(settings.trigger_seconds * stream.triggers * 1000)
    trigger: dict[str, bool | str] = (
        {"availableNow": True}
        if available_now
        else {"processingTime": f"{milliseconds} milliseconds"}
    )
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", stream.name)
    rows = stream.source(spark)
    if stream.watermark is not None:
        column, minutes = stream.watermark
        rows = rows.withWatermark(column, f"{minutes} minutes")
    writer = (
        rows.writeStream.queryName(stream.name)
        .option("checkpointLocation", file_uri(stream.checkpoint(settings)))
        .trigger(**trigger)  # type: ignore[arg-type]
    )
    with _CALLBACKS:
        writer = writer.foreachBatch(write)
    query = writer.start()
    running.append(StreamHandle(stream, query, failures[0] if failures else None))
    return running[0]


def prepare(stream: Stream, settings: Settings) -> None:
    """Create the tables that are missing, and check those that exist.

    Raises:
        TableDriftError: a table is not as its definition says.
        StaleCheckpointError: checkpoint, tables and sources do not belong together.
    """
    for table in (*stream.reads, *stream.tables, *stream.audit_tables):
        ensure_table(settings.lake, table)
    every = stream.tables[0] if stream.is_in_every_batch else None
    refuse_other_history(
        settings, stream.app_id, stream.checkpoint(settings), stream.tables, stream.reads, every
    )


def _process(
    stream: Stream, spark: "SparkSession", rows: "DataFrame", txn: TxnId, on_result: ResultCallback
) -> None:
    try:
        result = _process_rows(stream, rows, txn)
    except Exception as error:
        again = stream.reread(spark, txn.version, error)
        if again is None:
            raise
        result = _process_rows(stream, again, txn)
    on_result(result)
    if stream.chain is not None:
        stream.chain.forward(result, on_result)


def _process_rows(stream: Stream, rows: "DataFrame", txn: TxnId) -> BatchResult:
    """Process one batch of a query: the only place where a DataFrame becomes a batch."""
    with stream.writer.open_batch(rows) as batch:
        if stream.reduction is not None:
            batch = batch.map_arrow(*stream.reduction)
        return stream.processor.process(batch, txn)

"""A chained stream's batches are reduced, collected in memory for some seconds, and written as one."""

import threading
import time
from dataclasses import dataclass, field, replace

import pyarrow as pa

from k2.engine.chained_stream import ChainedStream
from k2.engine.processor import BatchResult
from k2.engine.stream import Reduction
from k2.storage.table import Table
from k2.storage.writers.writer import TxnId


@dataclass
class BatchBuffer:
    """Batches of ``source``, the upstream table, that the stream has received but not written.

    For a stream whose batches are expensive whatever their size: bars replace whole days. Nothing is lost
    when a crash empties the buffer: its rows are in ``source``, and the stream's own query reads them there.
    """

    chained: ChainedStream
    source: Table
    reduction: Reduction
    seconds: float
    _parts: list[pa.Table] = field(default_factory=list)
    _txns: set[TxnId] = field(default_factory=set)
    _end: int = 0  # the version of the source after the last of them
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, upstream: BatchResult) -> None:
        """Buffer a batch, the source's newest version; the caller holds the lock that keeps other batches out.

        A batch is not buffered while the stream's own query runs, or if the source had it before: that
        query reads it.
        """
        version = upstream.written.version
        if self.chained.is_catching_up or version is None or upstream.output is None:
            self.chained.is_behind = True
            return
        part = upstream.output.map_arrow(*self.reduction).to_arrow(*self.reduction.schema.names)
        with self._lock:
            if not self._parts:
                self._since = time.monotonic()
            self._parts.append(part)
            self._txns.add(TxnId(upstream.stream, upstream.batch_id))
            self._end = version + 1

    @property
    def is_due(self) -> bool:
        """Whether the oldest buffered batch has waited long enough."""
        return bool(self._parts) and time.monotonic() - self._since >= self.seconds

    def discard(self) -> None:
        """Drop the buffer; the stream's own query reads its rows from the source."""
        with self._lock:
            self._parts, self._txns = [], set()

    def flush(self) -> BatchResult | None:
        """Write the buffer as the stream's next batch; None when it is empty, or the stream is behind."""
        with self._lock:
            parts, txns, end = self._parts, self._txns, self._end
            self._parts, self._txns = [], set()
        if not parts:
            return None
        with self.chained.next_batch(self.source, txns, end) as planned:
            if planned is None:
                return None
            batch = self.chained.writer.hold(pa.concat_tables(parts))
            result = self.chained.processor.process(batch, planned.txn)
        return replace(result, progress=planned.progress)

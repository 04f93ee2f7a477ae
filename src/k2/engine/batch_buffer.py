"""Collects a chained stream's batches in memory, reduced, and writes those of some seconds as one."""

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
    """Batches of ``source``, the table that the stream reads, that it has not written yet.

    For a stream whose batches are dear whatever their size: bars replace whole days. What a crash takes
    from here is in ``source``, where the stream's own query finds it.
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
        """Take a batch that is the source's newest version; the caller keeps other batches out.

        It is left to the stream's query if that runs, or if the source had the batch before.
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
        """Whether what is here has waited long enough."""
        return bool(self._parts) and time.monotonic() - self._since >= self.seconds

    def discard(self) -> None:
        """Leave what is here to the stream's query."""
        with self._lock:
            self._parts, self._txns = [], set()

    def flush(self) -> BatchResult | None:
        """Write what is here as the stream's next batch; None when there is nothing, or it is behind."""
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

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

_MAX_HELD = 10_000  # batches: an hour's, of which a query that catches up for so long has the most


@dataclass(frozen=True)
class _Held:
    """What one version of the source added."""

    version: int
    txn: TxnId
    part: pa.Table


@dataclass
class BatchBuffer:
    """Batches of ``source``, the upstream table, that the stream has received but not written.

    For a stream whose batches are expensive whatever their size: bars replace whole days. Nothing is lost
    when a crash empties the buffer: its rows are in ``source``, and the stream's own query reads them there.
    While that query runs, batches are held: it reads to the version at which it began, and they go on from
    there. Dropped, they would want the query again, which would end as far behind.
    """

    chained: ChainedStream
    source: Table
    reduction: Reduction
    seconds: float
    _held: list[_Held] = field(default_factory=list)
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, upstream: BatchResult) -> None:
        """Buffer a batch, the source's newest version; the caller holds the lock that keeps other batches out.

        A batch that the source had before is not buffered: the stream's own query reads it.
        """
        version = upstream.written.version
        if version is None or upstream.output is None:
            self.chained.is_behind = True
            return
        part = upstream.output.map_arrow(*self.reduction).to_arrow(*self.reduction.schema.names)
        txn = TxnId(upstream.stream, upstream.batch_id)
        with self._lock:
            if not self._held:
                self._since = time.monotonic()
            self._held.append(_Held(version, txn, part))
            if len(self._held) > _MAX_HELD:
                self._held = []
                self.chained.is_behind = True

    @property
    def is_due(self) -> bool:
        """Whether the oldest buffered batch has waited long enough, and the stream's own query does not run."""
        waited = time.monotonic() - self._since >= self.seconds
        return bool(self._held) and waited and not self.chained.is_catching_up

    def discard(self) -> None:
        """Drop the buffer; the stream's own query reads its rows from the source."""
        with self._lock:
            self._held = []

    def flush(self) -> BatchResult | None:
        """Write the buffer as the stream's next batch; None when it is empty, or the stream is behind."""
        if self.chained.is_catching_up:
            return None
        with self._lock:
            held, self._held = self._held, []
        first = self.chained.next_version(self.source)
        held = [one for one in held if first is None or one.version >= first]
        if not held:
            return None
        txns, end = {one.txn for one in held}, held[-1].version + 1
        with self.chained.next_batch(self.source, txns, end) as planned:
            if planned is None:
                return None
            batch = self.chained.writer.hold(pa.concat_tables([one.part for one in held]))
            result = self.chained.processor.process(batch, planned.txn)
        return replace(result, progress=planned.progress)

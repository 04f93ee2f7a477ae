"""Streams of one process that pass their batches to each other in memory.

The first reads Kafka by a query of its own. Each of its batches passes down the chain: every link makes
of the batch before it the next batch of its own stream, and commits it as its query would
(:mod:`k2.engine.chained_stream`). Nothing is read back from a table.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import structlog

from k2.engine.batch_buffer import BatchBuffer
from k2.engine.chained_stream import ChainedStream
from k2.engine.processor import BatchResult, ResultCallback
from k2.storage.table import Table
from k2.storage.writers.writer import TableWriter, TxnId

log = structlog.get_logger("k2.engine")


@dataclass
class Chain:
    """The streams downstream of the one that writes ``source``, in order; a buffer, if there is one, is last.

    Chains may share a stream: it is locked while it works on a batch.
    """

    source: Table
    writer: TableWriter
    links: Sequence[ChainedStream]
    buffer: BatchBuffer | None = None
    _forwarding: "Future[None] | None" = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "k2-chain"))

    def forward(self, result: BatchResult, on_result: ResultCallback) -> None:
        """Pass a written batch down the chain, in a thread of its own while Spark reads the next.

        One batch at a time: the call waits for the one before. A downstream stream that fails does not fail
        the source: its own query will read the same rows and report the error.
        """
        end = self.writer.version(self.source) + 1  # soon there is another batch
        self.wait()
        self._forwarding = self._thread.submit(self._run, result, end, on_result)

    def wait(self) -> None:
        """Wait until the last batch has passed down the chain."""
        if self._forwarding is not None:
            self._forwarding.result()

    def _run(self, result: BatchResult, end: int | None, on_result: ResultCallback) -> None:
        upstream, app_id = self.source, result.stream
        for place, link in enumerate(self.links):
            batch = result.output
            if batch is None:  # which rows are new is not known any more
                link.is_behind = True
                return
            if batch.is_empty:
                return
            txns = {TxnId(result.stream, result.batch_id)}
            try:
                with link.next_batch(upstream, txns, end) as planned:
                    if planned is None:
                        return
                    planned.event_time = link.event_time_of(batch)
                    result = link.processor.process(batch, planned.txn)
                    if self.buffer is not None and link is self.links[-1]:
                        # Here: batches of several chains reach it in the order of their versions.
                        self.buffer.add(result)
                result = replace(result, progress=planned.progress)
                on_result(result)
            except Exception as error:
                for behind in self.links[place:]:
                    behind.is_behind = True
                log.warning("not_handed_on", job_name=app_id, reason=str(error)[:200])
                return
            upstream, end = link.table, None

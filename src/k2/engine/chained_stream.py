"""A chained stream receives its upstream's batches in memory instead of reading the upstream table.

The commit protocol, which leaves the checkpoint and the tables that the stream's own query would leave:

1. Plan: ``offsets/<batch>`` says how far the batch reads each upstream table, before anything is written.
2. Write: the processor writes the batch under the transaction id (app id, batch). Tables skip one that
   they have.
3. Commit: ``commits/<batch>`` says that the batch is written.

A crash between 1 and 3 leaves a planned batch. The next start runs it again with the same offsets: in
memory, if upstream repeats exactly its rows, else by the stream's own query. That query reads whatever was
not passed in memory, then ends, and the stream is chained again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2.engine.planned_batch import EventTimeStats, PlannedBatch, progress_of
from k2.engine.processor import BatchProcessor
from k2.engine.stream import Stream, Watermark, prepare
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import (
    NOTHING_YET,
    OffsetLog,
    Position,
    is_of_table,
    next_version,
    table_offset,
)
from k2.storage.delta import exists, table_path
from k2.storage.delta_log import txns_between
from k2.storage.table import Table
from k2.storage.writers.writer import Batch, TableWriter, TxnId


@dataclass
class ChainedStream:
    """One stream's part in a chain.

    ``is_behind`` says that upstream may have rows that were not passed in memory, so that the stream's
    own query is wanted; ``is_catching_up`` that this query has the tables, so that nothing is passed.
    ``prepare`` makes and checks the tables, or raises. ``discard_buffered`` is called when that query
    begins: it takes what is buffered and not written.
    """

    app_id: str
    checkpoint: Path
    lake: Path
    table: Table  # its main one
    reads: tuple[Table, ...]
    processor: BatchProcessor
    writer: TableWriter
    mutex: AbstractContextManager[Any]
    prepare: Callable[[], None]
    watermark: Watermark | None = None
    is_behind: bool = False
    is_catching_up: bool = False
    discard_buffered: Callable[[], None] = lambda: None
    _is_prepared: bool = False

    @classmethod
    def of(cls, stream: Stream, settings: Settings) -> "ChainedStream":
        """Return a stream's part."""
        return cls(
            stream.app_id,
            stream.checkpoint(settings),
            settings.lake,
            stream.tables[0],
            stream.reads,
            stream.processor,
            stream.writer,
            stream.mutex,
            lambda: prepare(stream, settings),
            stream.watermark,
        )

    @contextmanager
    def next_batch(
        self, upstream: Table, upstream_txns: Set[TxnId], end: int | None = None
    ) -> Iterator[PlannedBatch | None]:
        """Plan the next batch, of what ``upstream_txns`` added to ``upstream``; commit it at the end.

        ``end`` is the version of ``upstream`` after all of them, by itself the one that is next. Yields
        None when the stream has the batch already, or when it is behind: then its own query reads the
        batch, in its order. An exception inside leaves the batch planned, and the next start runs it again.
        """
        with self.mutex:
            position = self._position()
            ends = self._next_ends(position, upstream, upstream_txns, end)
            if ends is None:
                yield None
                return
            began = time.time()
            log = OffsetLog(self.checkpoint)
            if position.planned is None:
                log.plan(position.batch, ends, position.watermark, int(began * 1000))
            planned = time.time()
            batch = PlannedBatch(TxnId(self.app_id, position.batch))
            try:
                yield batch
            except Exception:
                self.is_behind = True
                raise
            written = time.time()
            watermark = position.watermark
            if batch.event_time is not None:
                watermark = max(watermark, int(batch.event_time.watermark.timestamp() * 1000))
            log.commit(position.batch, watermark)
            took = {
                "walCommit": planned - began,
                "addBatch": written - planned,
                "commitOffsets": time.time() - written,
                "triggerExecution": time.time() - began,
            }
            batch.progress = progress_of(position, ends, self.reads, took, began, batch.event_time)

    def event_time_of(self, batch: Batch) -> EventTimeStats | None:
        """Return a batch's event time, where the stream has a watermark."""
        if self.watermark is None:
            return None
        column, minutes = self.watermark
        return EventTimeStats.of(batch.to_arrow(column)[column], minutes)

    def begin_catch_up(self) -> None:
        """Pass nothing in memory until :meth:`finish_catch_up`: the stream's own query reads everything."""
        with self.mutex:
            self.is_catching_up, self.is_behind = True, False
            self.discard_buffered()
            self.processor.close()

    def finish_catch_up(self, is_behind: bool = False) -> None:
        """Note that the stream's own query has ended; ``is_behind`` says that it did not read everything."""
        with self.mutex:
            self.is_catching_up, self.is_behind = False, self.is_behind or is_behind

    def next_version(self, upstream: Table) -> int | None:
        """Return the first version of a table that the stream has not read; None inside one, or before the first."""
        return next_version(self._position().starts[self.reads.index(upstream)])

    def has_unread(self, repeated: Mapping[str, int]) -> bool:
        """Tell whether there is something upstream that will not be passed in memory.

        ``repeated`` are the batches, by app id, that upstream streams have planned and will run again.
        """
        position = self._position()
        again = {TxnId(app, batch) for app, batch in repeated.items()}
        for table, start in zip(self.reads, position.starts, strict=True):
            first = next_version(start)
            if first is None:
                return True
            if not exists(self.lake, table):
                continue
            newest = self.writer.version(table)
            if not is_of_table(start, self.writer.table_id(table), newest):
                return True  # the stream's own query says so, and why
            if self._added(table, first, newest + 1) - again:
                return True
        return False

    def _next_ends(
        self, position: Position, source: Table, upstream_txns: Set[TxnId], end: int | None
    ) -> tuple[str, ...] | None:
        """How far the next batch reads, if ``upstream_txns`` are all that it would read."""
        if self.is_catching_up:
            self.is_behind = True
            return None
        if not self._is_prepared:
            try:
                self.prepare()
            except Exception:
                self.is_behind = True  # the stream's own query says why
                raise
            self._is_prepared = True
        place = self.reads.index(source)
        first = next_version(position.starts[place])
        end = self.writer.version(source) + 1 if end is None else end
        added = {None} if first is None else self._added(source, first, end)
        if not added:
            return None
        ends = self._ends(position, place, end) if added == upstream_txns else None
        self.is_behind = self.is_behind or ends is None
        return ends

    def _position(self) -> Position:
        found = OffsetLog(self.checkpoint).position(len(self.reads))
        # An exchange that the checkpoint does not know yet comes last.
        missing = (NOTHING_YET,) * (len(self.reads) - len(found.starts))
        planned = None if found.planned is None else (*found.planned, *missing)
        return replace(found, starts=(*found.starts, *missing), planned=planned)

    def _ends(self, position: Position, place: int, end: int) -> tuple[str, ...] | None:
        """How far the next batch reads; None when another batch than this one was planned."""
        source = self.reads[place]
        if position.planned is None:
            read = table_offset(self.writer.table_id(source), end)
            return _replace_end(position.starts, place, read)
        until = next_version(position.planned[place])
        if until is None or self._added(source, until, end):
            return None
        same = _replace_end(position.starts, place, position.planned[place])
        return same if same == position.planned else None

    def _added(self, table: Table, first: int, end: int) -> set[TxnId | None]:
        return txns_between(table_path(self.lake, table), first, end)


def _replace_end(ends: tuple[str, ...], place: int, end: str) -> tuple[str, ...]:
    return (*ends[:place], end, *ends[place + 1 :])

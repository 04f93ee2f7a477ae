"""A stream that is handed batches in memory, in place of reading the table that they were written to.

Its tables and its checkpoint are those that its own query would leave: each batch handed on is the
stream's next one, planned before it is written and committed after. So its query can go on from any
batch, as it does where streams run as jobs of their own; and must, for what was not handed on.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from k2.engine.planned_batch import PlannedBatch, progress_of
from k2.storage.checkpoints.offset_log import (
    NOTHING_YET,
    OffsetLog,
    Position,
    next_version,
    table_offset,
)
from k2.storage.delta import exists, table_path
from k2.storage.delta_log import txns_between
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId


class Closeable(Protocol):
    """What holds something open between batches."""

    def close(self) -> None:
        """Let go of it."""


@dataclass
class ChainedStream:
    """One stream's part in being handed batches.

    ``is_behind`` says that there may be something upstream that was not handed on, so that the stream's
    own query is wanted; ``is_catching_up`` that this query has the tables, so that nothing is handed on.
    ``prepare`` makes and checks what the stream writes, or raises. ``forget`` is called when that query
    begins: it takes whatever was handed on and is not written.
    """

    app_id: str
    checkpoint: Path
    reads: tuple[Table, ...]
    writer: ArrowWriter
    mutex: AbstractContextManager[Any]
    prepare: Callable[[], None]
    is_behind: bool = False
    is_catching_up: bool = False
    resources: list[Closeable] = field(default_factory=list)
    discard_buffered: Callable[[], None] = lambda: None
    _is_prepared: bool = False

    @contextmanager
    def batch(
        self, source: Table, given: Set[TxnId], end: int | None = None
    ) -> Iterator[PlannedBatch | None]:
        """Give the next batch, to be written of what ``given`` added to the table ``source``.

        ``end`` is the version of ``source`` after all of them, by itself the one that is next. The
        step is None when the stream has it already, or it was left to the stream's query because there
        is something else to read before it.
        """
        with self.mutex:
            position = self._position()
            ends = self._next_ends(position, source, given, end)
            if ends is None:
                yield None
                return
            began = time.time()
            log = OffsetLog(self.checkpoint)
            if position.planned is None:
                log.plan(position.batch, ends, position.watermark, int(began * 1000))
            planned = time.time()
            step = PlannedBatch(TxnId(self.app_id, position.batch))
            try:
                yield step
            except Exception:
                self.is_behind = True
                raise
            written = time.time()
            watermark = position.watermark
            if step.event is not None:
                watermark = max(watermark, int(step.event.watermark.timestamp() * 1000))
            log.commit(position.batch, watermark)
            took = {
                "walCommit": planned - began,
                "addBatch": written - planned,
                "commitOffsets": time.time() - written,
                "triggerExecution": time.time() - began,
            }
            step.progress = progress_of(position, ends, self.reads, took, began, step.event)

    def begin_catch_up(self) -> None:
        """Leave everything to the stream's own query, until :meth:`finish_catch_up`."""
        with self.mutex:
            self.is_catching_up, self.is_behind = True, False
            self.discard_buffered()
            self.close_resources()

    def finish_catch_up(self, is_behind: bool = False) -> None:
        """Note that the stream's query has ended; ``is_behind`` says that it did not take all."""
        with self.mutex:
            self.is_catching_up, self.is_behind = False, self.is_behind or is_behind

    def close_resources(self) -> None:
        """Let go of what is held open: somebody else changes it."""
        for holding in self.resources:
            holding.close()

    def has_unread(self, repeated: Mapping[str, int]) -> bool:
        """Tell whether there is something upstream that nobody will hand on.

        ``repeated`` are the batches, by app, that the streams before have begun and will run again.
        """
        position = self._position()
        again = {TxnId(app, batch) for app, batch in repeated.items()}
        for table, start in zip(self.reads, position.starts, strict=True):
            first = next_version(start)
            if first is None or (
                exists(self.writer.lake, table)
                and self._added(table, first, self.writer.version(table) + 1) - again
            ):
                return True
        return False

    def _next_ends(
        self, position: Position, source: Table, given: Set[TxnId], end: int | None
    ) -> tuple[str, ...] | None:
        """How far the next batch reads, if what is ``given`` is all that it would read."""
        if self.is_catching_up:
            self.is_behind = True
            return None
        if not self._is_prepared:
            self.prepare()
            self._is_prepared = True
        place = self.reads.index(source)
        first = next_version(position.starts[place])
        end = self.writer.version(source) + 1 if end is None else end
        added = {None} if first is None else self._added(source, first, end)
        if not added:
            return None
        ends = self._ends(position, place, end) if added == given else None
        self.is_behind = self.is_behind or ends is None
        return ends

    def _position(self) -> Position:
        found = OffsetLog(self.checkpoint).position(len(self.reads))
        # An exchange that the checkpoint does not know yet comes last.
        missing = (NOTHING_YET,) * (len(self.reads) - len(found.starts))
        planned = None if found.planned is None else (*found.planned, *missing)
        return replace(found, starts=(*found.starts, *missing), planned=planned)

    def _ends(self, position: Position, place: int, end: int) -> tuple[str, ...] | None:
        """How far the next batch reads; None when one was begun that is not just what is given."""
        source = self.reads[place]
        if position.planned is None:
            read = table_offset(self.writer.table_id(source), end)
            return _with(position.starts, place, read)
        until = next_version(position.planned[place])
        if until is None or self._added(source, until, end):
            return None
        same = _with(position.starts, place, position.planned[place])
        return same if same == position.planned else None

    def _added(self, table: Table, first: int, end: int) -> set[TxnId | None]:
        return txns_between(table_path(self.writer.lake, table), first, end)


def _with(ends: tuple[str, ...], place: int, end: str) -> tuple[str, ...]:
    return (*ends[:place], end, *ends[place + 1 :])

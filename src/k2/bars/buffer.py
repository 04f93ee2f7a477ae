"""Gold's batches on their way to the bars: added up at once, and written together every few seconds."""

import threading
import time
from dataclasses import dataclass, field, replace

import pyarrow as pa

from k2.bars.aggregate import to_minute_bars
from k2.bars.processor import BarProcessor
from k2.engine.chained_stream import ChainedStream
from k2.engine.stream import BatchResult
from k2.gold.table import GOLD_TRADES
from k2.storage.writers.writer import TxnId


@dataclass
class BarBuffer:
    """What the stream of bars was handed and has not written yet, as parts of one-minute bars.

    A batch of bars writes whole days anew, so it is made of the batches of ``seconds``. What a crash
    takes from here is in Gold, where the stream's own query finds it.
    """

    follower: ChainedStream
    sink: BarProcessor
    seconds: float
    _parts: list[pa.Table] = field(default_factory=list)
    _given: set[TxnId] = field(default_factory=set)
    _end: int = 0  # the version of Gold after the last of them
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, trades: pa.Table, given: TxnId, version: int | None) -> None:
        """Take a batch that is Gold's newest, its ``version``; the caller keeps other batches out.

        It is left to the stream's query if that runs, or Gold had the batch before (None).
        """
        if self.follower.is_catching_up or version is None:
            self.follower.is_behind = True
            return
        bars = to_minute_bars(trades)
        with self._lock:
            if not self._parts:
                self._since = time.monotonic()
            self._parts.append(bars)
            self._given.add(given)
            self._end = version + 1

    @property
    def is_due(self) -> bool:
        """Whether what is here has waited long enough."""
        return bool(self._parts) and time.monotonic() - self._since >= self.seconds

    def discard_buffered(self) -> None:
        """Leave what is here to the stream's query."""
        with self._lock:
            self._parts, self._given = [], set()

    def write(self) -> BatchResult | None:
        """Write what is here as the stream's next batch; None when there is nothing, or it is left."""
        with self._lock:
            parts, given, end = self._parts, self._given, self._end
            self._parts, self._given = [], set()
        if not parts:
            return None
        with self.follower.batch(GOLD_TRADES, given, end) as step:
            if step is None:
                return None
            report = self.sink.take(pa.concat_tables(parts), step.txn)
        return replace(report, progress=step.progress)

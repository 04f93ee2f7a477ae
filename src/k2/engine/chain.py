"""One query an exchange, from Kafka to Gold: each batch of Bronze handed on in memory.

Spark reads Kafka and keeps the offsets; the rows come to the driver once, where Bronze, Silver with its
dead letters and duplicates, and Gold are made of them and written in this order, each as its own
stream's batch.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from pyspark.sql import DataFrame

from k2.bars.buffer import BarBuffer
from k2.bars.processor import BarProcessor
from k2.bronze.processor import BronzeProcessor
from k2.engine.chained_stream import ChainedStream
from k2.engine.planned_batch import EventTimeStats
from k2.engine.stream import BatchResult, ResultCallback, Stream, prepare
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.observability.hop_latencies import late_trades
from k2.settings import Settings
from k2.silver.processor import SilverProcessor
from k2.silver.schema_lookup import SchemaLookup
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import Batch, TxnId

log = structlog.get_logger("k2.engine")


def chained(
    bronze: Sequence[Stream],
    silver: Sequence[Stream],
    gold: Stream,
    bars: Stream,
    settings: Settings,
    writer: ArrowWriter,
    schemas: SchemaLookup,
    readers: Sequence[str],
) -> list[Stream]:
    """Return the streams as ones that one engine must run together: Bronze's hand on, the others follow.

    ``bronze``, ``silver`` and ``readers`` (as for Silver) are of the same exchanges. Names, tables
    and checkpoints stay: whoever runs the streams one by one goes on from any batch, and back.
    """
    followers = [_following(stream, settings, writer) for stream in silver]
    gold = _following(gold, settings, writer)
    bars, collector = _collecting(_following(bars, settings, writer), settings, writer)
    handing = [
        _handing_on(first, then, gold, collector, settings, writer, schemas, reader)
        for first, then, reader in zip(bronze, followers, readers, strict=True)
    ]
    return [*handing, *followers, gold, bars]


def _following(stream: Stream, settings: Settings, writer: ArrowWriter) -> Stream:
    follower = ChainedStream(
        stream.app_id,
        stream.checkpoint(settings),
        stream.reads,
        writer,
        stream.mutex,
        lambda: prepare(stream, settings),
    )
    return replace(stream, follower=follower)


def _collecting(bars: Stream, settings: Settings, writer: ArrowWriter) -> tuple[Stream, BarBuffer]:
    if bars.follower is None:
        raise ValueError(f"{bars.name} follows nobody")
    sink = BarProcessor(settings, writer)
    collector = BarBuffer(bars.follower, sink, settings.trigger_seconds * bars.triggers)
    bars.follower.resources.append(sink)
    bars.follower.discard_buffered = collector.discard_buffered
    return replace(bars, collector=collector), collector


def _handing_on(
    bronze: Stream,
    silver: Stream,
    gold: Stream,
    bars: BarBuffer,
    settings: Settings,
    writer: ArrowWriter,
    schemas: SchemaLookup,
    reader: str,
) -> Stream:
    exchange = bronze.exchange
    if exchange is None or silver.follower is None or gold.follower is None:
        raise ValueError(f"{bronze.name} has nobody to hand on to")
    silver_sink = SilverProcessor(
        exchange, settings, writer, schemas, reader, silver.dead_letter_replay
    )
    silver.follower.resources.append(silver_sink)
    sink = Chain(
        bronze.tables[0],
        silver.tables[0],
        writer,
        BronzeProcessor(exchange, settings, writer),
        silver.follower,
        silver_sink,
        gold.follower,
        bars,
        settings.lateness_minutes,
    )
    return replace(bronze, sink=lambda _: sink)


@dataclass
class Chain:
    """Writes a batch to Bronze, and hands it on to Silver and Gold as far as they are level.

    It is handed on in a thread of its own, while Spark reads the next: one batch at a time.
    """

    bronze: Table
    silver_trades: Table
    writer: ArrowWriter
    bronze_sink: BronzeProcessor
    silver: ChainedStream
    silver_sink: SilverProcessor
    gold: ChainedStream
    bars: BarBuffer
    lateness_minutes: int
    _handing: "Future[None] | None" = None
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "k2-handing-on")
    )

    def write(self, rows: DataFrame, txn: TxnId, on_result: ResultCallback) -> None:
        """Write the batch to Bronze, and hand it on beside what Spark reads meanwhile."""
        with self.writer.batch(rows) as records:
            batch = self.bronze_sink.shaped(records, txn)
        on_result(self.bronze_sink.take(batch, txn))
        end = self.writer.version(self.bronze) + 1  # soon there is another batch
        self._wait()
        self._handing = self._thread.submit(self._hand_on, batch, txn, end, on_result)

    def close(self) -> None:
        """Wait until the last batch is handed on, and let go of Silver's index."""
        self._wait()
        self.silver.close_resources()

    def _wait(self) -> None:
        if self._handing is not None:
            self._handing.result()

    def _hand_on(self, batch: Batch, given: TxnId, end: int, on_result: ResultCallback) -> None:
        try:
            for report in self._handed(batch, given, end):
                on_result(report)
        except Exception as error:
            # Bronze does not stop for it: the other stream's own query will meet it, and say so.
            self.gold.is_behind = True  # and Silver where it failed
            log.warning("not_handed_on", job_name=given.app_id, reason=str(error)[:200])

    def _handed(self, batch: Batch, given: TxnId, end: int) -> Iterator[BatchResult]:
        with self.silver.batch(self.bronze, {given}, end) as step:
            if step is None:
                return
            result = self.silver_sink.take(batch, step.txn)
        yield replace(result.report, progress=step.progress)
        if result.new_trades is None:
            self.gold.is_behind = True  # which rows are new is known no more
            return
        new = result.validated.columns(*self.silver_trades.columns, of=result.new_trades)
        yield from self._hand_on_to_gold(to_gold(new, self.lateness_minutes), step.txn)

    def _hand_on_to_gold(self, trades: pa.Table, given: TxnId) -> Iterator[BatchResult]:
        if not trades.num_rows:
            return
        times = trades["timestamp"]
        mean = pc.round(pc.mean(times.cast(pa.int64()))).cast(pa.int64()).cast(times.type)
        with self.gold.batch(self.silver_trades, {given}) as step:
            if step is None:
                return
            delay = timedelta(minutes=self.lateness_minutes)
            step.event = EventTimeStats(mean.as_py(), pc.max(times).as_py() - delay)
            appended = self.writer.append(GOLD_TRADES, step.txn, trades)
            self.bars.add(trades, step.txn, appended.version)
        yield BatchResult(
            step.txn.app_id,
            step.txn.version,
            appended,
            observed=late_trades(trades),
            progress=step.progress,
        )

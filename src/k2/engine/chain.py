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

from k2.bars.buffer import BarCollector
from k2.bars.processor import OhlcvSink
from k2.bronze.processor import BronzeSink
from k2.engine.chained_stream import Follower
from k2.engine.planned_batch import Event
from k2.engine.stream import BatchReport, Stream, Told, prepare
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.observability.hop_latencies import late_trades
from k2.settings import Settings
from k2.silver.processor import SilverSink
from k2.silver.schema_lookup import Schemas
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import Batch, WriteId

log = structlog.get_logger("k2.engine")


def fused(
    bronze: Sequence[Stream],
    silver: Sequence[Stream],
    gold: Stream,
    bars: Stream,
    settings: Settings,
    writer: ArrowWriter,
    schemas: Schemas,
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
    follower = Follower(
        stream.app,
        stream.checkpoint(settings),
        stream.reads,
        writer,
        stream.mutex,
        lambda: prepare(stream, settings),
    )
    return replace(stream, follower=follower)


def _collecting(
    bars: Stream, settings: Settings, writer: ArrowWriter
) -> tuple[Stream, BarCollector]:
    if bars.follower is None:
        raise ValueError(f"{bars.name} follows nobody")
    sink = OhlcvSink(settings, writer)
    collector = BarCollector(bars.follower, sink, settings.trigger_seconds * bars.triggers)
    bars.follower.holding.append(sink)
    bars.follower.forget = collector.forget
    return replace(bars, collector=collector), collector


def _handing_on(
    bronze: Stream,
    silver: Stream,
    gold: Stream,
    bars: BarCollector,
    settings: Settings,
    writer: ArrowWriter,
    schemas: Schemas,
    reader: str,
) -> Stream:
    exchange = bronze.exchange
    if exchange is None or silver.follower is None or gold.follower is None:
        raise ValueError(f"{bronze.name} has nobody to hand on to")
    silver_sink = SilverSink(exchange, settings, writer, schemas, reader, silver.redecider)
    silver.follower.holding.append(silver_sink)
    sink = FusedSink(
        bronze.tables[0],
        silver.tables[0],
        writer,
        BronzeSink(exchange, settings, writer),
        silver.follower,
        silver_sink,
        gold.follower,
        bars,
        settings.lateness_minutes,
    )
    return replace(bronze, sink=lambda _: sink)


@dataclass
class FusedSink:
    """Writes a batch to Bronze, and hands it on to Silver and Gold as far as they are level.

    It is handed on in a thread of its own, while Spark reads the next: one batch at a time.
    """

    bronze: Table
    silver_trades: Table
    writer: ArrowWriter
    bronze_sink: BronzeSink
    silver: Follower
    silver_sink: SilverSink
    gold: Follower
    bars: BarCollector
    lateness_minutes: int
    _handing: "Future[None] | None" = None
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "k2-handing-on")
    )

    def write(self, rows: DataFrame, write_id: WriteId, told: Told) -> None:
        """Write the batch to Bronze, and hand it on beside what Spark reads meanwhile."""
        with self.writer.batch(rows) as records:
            batch = self.bronze_sink.shaped(records, write_id)
        told(self.bronze_sink.take(batch, write_id))
        end = self.writer.version(self.bronze) + 1  # soon there is another batch
        self._wait()
        self._handing = self._thread.submit(self._hand_on, batch, write_id, end, told)

    def close(self) -> None:
        """Wait until the last batch is handed on, and let go of Silver's index."""
        self._wait()
        self.silver.let_go()

    def _wait(self) -> None:
        if self._handing is not None:
            self._handing.result()

    def _hand_on(self, batch: Batch, given: WriteId, end: int, told: Told) -> None:
        try:
            for report in self._handed(batch, given, end):
                told(report)
        except Exception as error:
            # Bronze does not stop for it: the other stream's own query will meet it, and say so.
            self.gold.left = True  # and Silver where it failed
            log.warning("not_handed_on", job_name=given.app, reason=str(error)[:200])

    def _handed(self, batch: Batch, given: WriteId, end: int) -> Iterator[BatchReport]:
        with self.silver.batch(self.bronze, {given}, end) as step:
            if step is None:
                return
            taken = self.silver_sink.take(batch, step.write_id)
        yield replace(taken.report, progress=step.progress)
        if taken.new is None:
            self.gold.left = True  # which rows are new is known no more
            return
        new = taken.judged.columns(*self.silver_trades.columns, of=taken.new)
        yield from self._hand_on_to_gold(to_gold(new, self.lateness_minutes), step.write_id)

    def _hand_on_to_gold(self, trades: pa.Table, given: WriteId) -> Iterator[BatchReport]:
        if not trades.num_rows:
            return
        times = trades["timestamp"]
        mean = pc.round(pc.mean(times.cast(pa.int64()))).cast(pa.int64()).cast(times.type)
        with self.gold.batch(self.silver_trades, {given}) as step:
            if step is None:
                return
            delay = timedelta(minutes=self.lateness_minutes)
            step.event = Event(mean.as_py(), pc.max(times).as_py() - delay)
            appended = self.writer.append(GOLD_TRADES, step.write_id, trades)
            self.bars.hand(trades, step.write_id, appended.version)
        yield BatchReport(
            step.write_id.app,
            step.write_id.batch,
            appended,
            observed=late_trades(trades),
            progress=step.progress,
        )

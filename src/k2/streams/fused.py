"""One query an exchange, from Kafka to Gold: each batch of Bronze handed on in memory.

Bronze's query computes Silver's and Gold's columns along with its own, once; then Bronze, Silver with
its dead letters and duplicates, and Gold are written in this order, each as its own stream's batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from pyspark.sql import DataFrame, SparkSession

from k2.errors import NewSchemaError
from k2.io.arrow_writer import ArrowBatch, ArrowWriter
from k2.io.table_writer import Rows, WriteId
from k2.observability.recording import LATE, OBSERVED
from k2.settings import Settings
from k2.streams.follower import Follower
from k2.streams.observed import STATIONS, hops
from k2.streams.schemas import Schemas
from k2.streams.silver import SilverSink
from k2.streams.step import Event
from k2.streams.stream import BatchReport, Stream, prepare
from k2.tables import GOLD_TRADES, Table
from k2.transforms.gold import with_derived
from k2.transforms.silver import to_silver

log = structlog.get_logger("k2.streams")

# What Bronze stores and Silver does not.
_CARRIED = ("key", "value", "headers", "ingested_at", "ingest_date")


def fused(
    bronze: Sequence[Stream],
    silver: Sequence[Stream],
    gold: Stream,
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
    handing = [
        _handing_on(first, then, gold, settings, writer, schemas, reader)
        for first, then, reader in zip(bronze, followers, readers, strict=True)
    ]
    return [*handing, *followers, gold]


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


def _handing_on(
    bronze: Stream,
    silver: Stream,
    gold: Stream,
    settings: Settings,
    writer: ArrowWriter,
    schemas: Schemas,
    reader: str,
) -> Stream:
    exchange = bronze.exchange
    if exchange is None or silver.follower is None or gold.follower is None:
        raise ValueError(f"{bronze.name} has nobody to hand on to")
    known = schemas.known()  # of this query: Silver's own may know others
    silver_sink = SilverSink(exchange, settings, writer, schemas, known, silver.redecider)
    silver.follower.holding.append(silver_sink)

    def source(spark: SparkSession) -> DataFrame:
        judged = to_silver(bronze.source(spark), exchange, known, reader, _CARRIED)
        return with_derived(judged, settings.lateness_minutes)

    sink = FusedSink(
        bronze.tables[0],
        silver.tables[0],
        writer,
        silver.follower,
        gold.follower,
        silver_sink,
        timedelta(minutes=settings.lateness_minutes),
    )
    return replace(bronze, source=source, sink=lambda _: sink)


@dataclass
class FusedSink:
    """Writes a batch to Bronze, and hands it on to Silver and Gold as far as they are level."""

    bronze: Table
    silver_trades: Table
    writer: ArrowWriter
    silver: Follower
    gold: Follower
    silver_sink: SilverSink
    delay: timedelta

    def write(self, rows: DataFrame, write_id: WriteId) -> Iterator[BatchReport]:
        """Write the batch, and report each table's part of it.

        Raises:
            NewSchemaError: Bronze has it, but the query lacks a schema for the rest.
        """
        with self.writer.batch(rows) as batch:
            yield BatchReport(write_id.app, write_id.batch, batch.append(self.bronze, write_id))
            try:
                yield from self._hand_on(batch, write_id, rows.sparkSession)
            except NewSchemaError:
                raise
            except Exception as error:
                # Bronze does not stop for it: the other stream's own query will meet it, and say so.
                self.gold.left = True  # and Silver where it failed
                log.warning("not_handed_on", job_name=write_id.app, reason=str(error)[:200])

    def close(self) -> None:
        """Let go of Silver's index."""
        self.silver.let_go()

    def _hand_on(
        self, batch: ArrowBatch, given: WriteId, spark: SparkSession
    ) -> Iterator[BatchReport]:
        with self.silver.batch(self.bronze, given) as step:
            if step is None:
                return
            taken = self.silver_sink.take(batch, step.write_id, spark)
        observed = hops(batch.columns(*STATIONS))
        yield replace(taken.report, progress=_observing(step.progress, observed))
        if taken.new is None:
            self.gold.left = True  # which rows are new is known no more
            return
        yield from self._hand_on_to_gold(batch, taken.new, step.write_id)

    def _hand_on_to_gold(
        self, batch: ArrowBatch, new: Rows, given: WriteId
    ) -> Iterator[BatchReport]:
        trades = batch.chosen(new, ("timestamp", "is_late"))
        if not trades.num_rows:
            return
        times = trades["timestamp"]
        mean = pc.round(pc.mean(times.cast(pa.int64()))).cast(pa.int64()).cast(times.type)
        with self.gold.batch(self.silver_trades, given) as step:
            if step is None:
                return
            step.event = Event(mean.as_py(), pc.max(times).as_py() - self.delay)
            appended = batch.append(GOLD_TRADES, step.write_id, new)
        late = {LATE: pc.sum(trades["is_late"]).as_py()}
        yield BatchReport(
            step.write_id.app,
            step.write_id.batch,
            appended,
            progress=_observing(step.progress, late),
        )


def _observing(progress: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**progress, "observedMetrics": {OBSERVED: row}}

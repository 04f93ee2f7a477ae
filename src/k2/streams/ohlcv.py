"""The stream of bars: Gold's trades in, and every bar that they touch recomputed and replaced."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from k2.io.bar_store import BarStore
from k2.io.delta import open_table, table_path
from k2.io.table_writer import Appended, WriteId
from k2.settings import Settings
from k2.streams.stream import BatchReport, Stream
from k2.streams.upstream import new_rows
from k2.tables import BARS, GOLD_OHLCV, GOLD_TRADES, Layer
from k2.transforms.ohlcv import (
    BAR,
    LONGER,
    MINUTE,
    in_minutes,
    roll_up,
    to_minute_bars,
    touched_minutes,
)

# A batch recomputes whole minutes: a few seconds' trades at a time cost little more than one's.
_TRIGGERS = 5
# Gold has a file an hour and batch; of each only a few columns are read here.
_FILES_PER_GOLD_FILE = 8
_MOST_MINUTES = 1_000
_HOUR, _DAY = 60, 24 * 60  # minutes; those of an argument or result count from 1970


def ohlcv_stream(settings: Settings) -> Stream:
    """Keep up the bars of all exchanges and lengths."""

    def source(spark: SparkSession) -> DataFrame:
        files = settings.max_files_per_batch * _FILES_PER_GOLD_FILE
        return new_rows(spark, settings, GOLD_TRADES, files).select("timestamp", "kafka_timestamp")

    return Stream(
        layer=Layer.GOLD,
        exchange=None,
        version=1,
        called=BARS,
        tables=(GOLD_OHLCV,),
        reads=(GOLD_TRADES,),
        source=source,
        sink=lambda _: OhlcvSink(settings),
        triggers=_TRIGGERS,
    )


@dataclass
class OhlcvSink:
    """Recomputes the minutes that a batch touches from Gold itself, and all that contains them."""

    settings: Settings
    _store: BarStore | None = None

    def write(self, rows: DataFrame, write_id: WriteId) -> list[BatchReport]:
        """Replace the bars of a batch in one commit.

        They are made of all that Gold has, not of the batch: a batch that runs again, or bars that
        already hold a later one's trades, come out right.
        """
        store = self._opened()
        if store.has(write_id):
            return [BatchReport(write_id.app, write_id.batch)]
        touched = touched_minutes(rows).toArrow()
        if touched.num_rows:
            minutes = recomputed_minutes(touched["minute"].to_pylist())
            store.replace(_bars(rows.sparkSession, self.settings, store, minutes), write_id)
        written = Appended(
            pc.sum(touched["trades"]).as_py() or 0,
            pc.min(touched["oldest"]).as_py(),
            pc.max(touched["newest"]).as_py(),
        )
        return [BatchReport(write_id.app, write_id.batch, written)]

    def close(self) -> None:
        """Forget what the table was like."""
        self._store = None

    def _opened(self) -> BarStore:
        if self._store is None:
            self._store = bar_store(self.settings)
        return self._store


def bar_store(settings: Settings) -> BarStore:
    """Return the stored bars of a home."""
    return BarStore(settings.lake, timedelta(minutes=settings.lateness_minutes))


def rebuild(spark: SparkSession, settings: Settings) -> Iterator[tuple[date, int]]:
    """Recompute all bars from Gold, a day at a time; yield each day and how many bars were wrong.

    The caller holds the table's lock. Of equal bars nothing is written: their revision stays.
    """
    store = bar_store(settings)
    gold = open_table(settings.lake, GOLD_TRADES)
    days = {part["exchange_date"] for part in gold.partitions()} if gold is not None else set()
    for day in sorted(map(date.fromisoformat, days)):
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // MINUTE
        minutes = range(midnight, midnight + _DAY)
        yield day, store.replace(_bars(spark, settings, store, minutes))


def recomputed_minutes(touched: Iterable[int]) -> list[int]:
    """Return the minutes to recompute: the touched ones, or if they are many all of their hours."""
    minutes = set(touched)
    if len(minutes) > _MOST_MINUTES:
        hours = {minute // _HOUR * _HOUR for minute in minutes}
        minutes = {hour + minute for hour in hours for minute in range(_HOUR)}
    return sorted(minutes)


def _bars(
    spark: SparkSession, settings: Settings, store: BarStore, minutes: Sequence[int]
) -> pa.Table:
    """The bars of these minutes, and of every longer window on their days."""
    gold = spark.read.format("delta").load(str(table_path(settings.lake, GOLD_TRADES)))
    fresh = to_minute_bars(gold.where(in_minutes(minutes)))
    kept = _outside(store.minutes_of(_days(minutes)), minutes)
    of_days = fresh
    if kept.num_rows:
        never = F.lit(None).cast("timestamp").alias("last_trade_at")
        of_days = fresh.unionByName(spark.createDataFrame(kept).select(*BAR[:-1], never))
    return fresh.unionByName(roll_up(of_days, *LONGER)).toArrow()


def _days(minutes: Iterable[int]) -> set[date]:
    days = {minute // _DAY for minute in minutes}
    return {datetime.fromtimestamp(day * _DAY * MINUTE, UTC).date() for day in days}


def _outside(bars: pa.Table, minutes: Sequence[int]) -> pa.Table:
    numbers = pc.divide(bars["bar_start"].cast(pa.int64()), MINUTE * 1_000_000)
    return bars.filter(pc.invert(pc.is_in(numbers, pa.array(minutes, pa.int64()))))

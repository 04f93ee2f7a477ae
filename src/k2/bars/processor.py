"""The stream of bars computes every bar that a batch of Gold's trades touches, and replaces it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from k2.bars.aggregate import BAR, HOUR, MADE_OF, add_up, to_minute_bars, with_ends
from k2.bars.gold_hours import read_hours
from k2.bars.minute_cache import MinuteCache, hours_of
from k2.bars.store import BarStore
from k2.bars.table import BARS, BARS_VERSION, GOLD_OHLCV, TIMEFRAMES
from k2.engine.processor import BatchResult
from k2.engine.stream import Reduction, Stream
from k2.engine.upstream import new_rows
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog, next_version
from k2.storage.delta import open_table, table_path
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.table import Layer
from k2.storage.writers.writer import AppendResult, Batch, TableWriter, TxnId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A batch writes whole days of bars anew: a few seconds' trades at a time cost little more than one's.
_TRIGGERS = 10
# Gold has a file an hour and batch; of each only a few columns are read here.
_FILES_PER_GOLD_FILE = 8
_DAY = 24  # hours; those of an argument or result count from 1970


def bars_stream(settings: Settings, writer: TableWriter) -> Stream:
    """Return the stream that keeps the bars of all exchanges and lengths up to date."""

    def source(spark: "SparkSession") -> "DataFrame":
        files = settings.max_files_per_batch * _FILES_PER_GOLD_FILE
        return new_rows(spark, settings, GOLD_TRADES, files).select(*MADE_OF)

    return Stream(
        name=BARS,
        layer=Layer.GOLD,
        exchange=None,
        version=BARS_VERSION,
        tables=(GOLD_OHLCV,),
        reads=(GOLD_TRADES,),
        source=source,
        processor=BarProcessor(settings),
        writer=writer,
        triggers=_TRIGGERS,
        reduction=Reduction(to_minute_bars, BAR),
        is_critical=False,
        kind="bars",
    )


@dataclass
class BarProcessor:
    """Adds a batch to the minute bars of the hours that it touches, and computes all their bars from these.

    An hour's minute bars come from the cache, or are none when the hour has no bar yet; those of any other hour
    are computed from Gold.
    """

    settings: Settings
    known: MinuteCache = field(default_factory=MinuteCache)
    _store: BarStore | None = None

    def process(self, batch: Batch, txn: TxnId) -> BatchResult:
        """Replace the bars that a batch touches, in one commit.

        The batch consists of one-minute bars, or of parts of them (``BAR``).
        """
        store = self._opened()
        if store.has(txn):
            return BatchResult(txn.app_id, txn.version)
        parts = batch.to_arrow(*BAR.names)
        if (priced := _with_prices(parts)).num_rows:
            self._replace(priced, txn)
        written = AppendResult(
            pc.sum(parts["rows"]).as_py() or 0,
            pc.min(parts["oldest"]).as_py(),
            pc.max(parts["newest"]).as_py(),
        )
        return BatchResult(txn.app_id, txn.version, written)

    def close(self) -> None:
        """Clear the cache and close the table."""
        self._store = None

    def _replace(self, batch: pa.Table, txn: TxnId) -> None:
        store = self._opened()
        self.known.begin(txn.version)
        in_batch = hours_of(batch)
        touched = sorted(pc.unique(in_batch).to_pylist())
        hourly = store.bars_of("1h", _days(touched))
        with_bars = set(hours_of(hourly).to_pylist())
        unknown = [hour for hour in touched if hour in with_bars and hour not in self.known]
        minutes = [batch.filter(_is_none_of(in_batch, unknown)), *self.known.of(touched)]
        end = None
        if unknown:
            end = self._end_of(txn)
            gold = DeltaTable(table_path(self.settings.lake, GOLD_TRADES), version=end)
            minutes.append(_minutes_of(gold, unknown))
        others = hourly.filter(_is_none_of(hours_of(hourly), touched))
        bars = _bars(pa.concat_tables(minutes), others)
        store.replace(bars, txn)
        # What was read beyond the batch's end comes again with the next one.
        whole = touched if end is not None else [hour for hour in touched if hour not in unknown]
        of_minutes = bars.filter(pc.equal(bars["timeframe"], "1m"))
        self.known.end(txn.version, of_minutes, whole)

    def _end_of(self, txn: TxnId) -> int | None:
        """The version of Gold with which the batch ends; None when it ends inside a version."""
        position = OffsetLog(self.settings.checkpoint(txn.app_id)).position(1)
        if position.planned is None or position.batch != txn.version:
            return None
        following = next_version(position.planned[0])
        return None if following is None else following - 1

    def _opened(self) -> BarStore:
        if self._store is None:
            self._store = bar_store(self.settings)
        return self._store


def bar_store(settings: Settings) -> BarStore:
    """Return the stored bars of a home."""
    lateness = timedelta(minutes=settings.lateness_minutes)
    return BarStore(
        settings.lake,
        lateness,
        LogRetention(settings.kept_versions, {}, settings.history_minutes * 60),
    )


def gold_days(settings: Settings) -> list[date]:
    """Return the days that Gold has trades of."""
    gold = open_table(settings.lake, GOLD_TRADES)
    parts = [] if gold is None else gold.partitions()
    return sorted({date.fromisoformat(part["exchange_date"]) for part in parts})


def rebuild(settings: Settings, days: Iterable[date] | None = None) -> Iterator[tuple[date, int]]:
    """Recompute the bars of some days, or of all days, from Gold; yield each day and how many of its bars were
    wrong.

    The caller holds the table's lock. Bars that are equal to the stored ones are not written: their revision
    stays.
    """
    store = bar_store(settings)
    gold = open_table(settings.lake, GOLD_TRADES)
    if gold is None:
        return
    for day in gold_days(settings) if days is None else days:
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // HOUR
        minutes = _minutes_of(gold, range(midnight, midnight + _DAY))
        yield day, store.replace(_bars(minutes))


def _minutes_of(gold: DeltaTable, hours: Sequence[int]) -> pa.Table:
    """The one-minute bars of these hours, from all trades that a version of Gold has."""
    parts = [_with_prices(to_minute_bars(part)) for part in read_hours(gold, hours, MADE_OF)]
    if not parts:
        return BAR.empty_table()
    return add_up((pa.concat_tables(parts), ("1m",)))


def _with_prices(parts: pa.Table) -> pa.Table:
    """Bars, without those of which no trade counts."""
    return parts.filter(pc.is_valid(parts["open"])) if parts["open"].null_count else parts


def _bars(minutes: pa.Table, hourly: pa.Table | None = None) -> pa.Table:
    """The bars of all lengths for whole hours; ``hourly`` has the one-hour bars of the other hours of their days."""
    parts: list[tuple[pa.Table, Sequence[str]]] = [(minutes, tuple(TIMEFRAMES))]
    if hourly is not None:
        parts.append((with_ends(hourly), ("1d",)))
    return add_up(*parts)


def _is_none_of(numbers: pa.ChunkedArray, those: Sequence[int]) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(numbers, pa.array(those, pa.int64())))


def _days(hours: Iterable[int]) -> set[date]:
    return {datetime.fromtimestamp(hour * HOUR, UTC).date() for hour in hours}

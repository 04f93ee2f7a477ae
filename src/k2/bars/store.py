"""The stored bars. Recomputed bars replace them, all bars of a batch in one commit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake

from k2.bars.revisions import changed_bars, with_changes
from k2.bars.table import GOLD_OHLCV
from k2.bars.watermarks import ExchangeTime, exchange_times
from k2.sql import literal
from k2.storage.delta import NOTHING_ELSE, ensure_table, named_errors, table_path
from k2.storage.exact_types import rebuilt
from k2.storage.handles import TableHandle
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.maintenance.small_files import keep_log
from k2.storage.scan import scan
from k2.storage.writers.writer import TxnId

_COMPRESSION = WriterProperties(compression="ZSTD", compression_level=1)
_INSTANT = pa.timestamp("us", "UTC")
_LONGEST_BAR = timedelta(days=1)


@dataclass
class BarStore:
    """The table of bars under ``lake``; its caller is the only writer.

    ``lateness`` is how far behind an exchange's newest trade its watermark is.
    """

    lake: Path
    lateness: timedelta
    retention: LogRetention | None = None
    _table: TableHandle | None = None
    _times: dict[str, ExchangeTime] | None = None

    def has(self, txn: TxnId) -> bool:
        """Tell whether the batch or a later one is written."""
        written = self._opened().transaction_version(txn.app_id)
        return written is not None and written >= txn.version

    def bars_of(self, timeframe: str, days: Iterable[date]) -> pa.Table:
        """Return the stored bars of one length, of some days."""
        wanted = [("timeframe", "=", timeframe), ("bar_date", "in", set(days))]
        return scan(self._opened(), where=wanted).table()

    def replace(self, bars: pa.Table, txn: TxnId | None = None) -> int:
        """Replace stored bars by recomputed ones; return how many changed.

        ``bars`` has the columns of :data:`k2.bars.aggregate.BAR`. Its newest trade may make further bars of
        the same exchanges final: these are marked final too.

        Raises:
            FailedError: the table could not be written; it is as it was.
        """
        before = self._known_times()
        after = self._times_after(bars, before)
        stored = self._stored(bars, before, after)
        watermarks = {exchange: time.final_until for exchange, time in after.items()}
        changed = changed_bars(bars, stored, watermarks)
        if changed.num_rows:
            self._commit(changed, txn)
        self._times = after
        return int(changed.num_rows)

    def _opened(self) -> DeltaTable:
        if self._table is None:
            ensure_table(self.lake, GOLD_OHLCV)
            self._table = TableHandle(table_path(self.lake, GOLD_OHLCV))
        return self._table.latest()

    def _known_times(self) -> dict[str, ExchangeTime]:
        if self._times is None:
            self._times = exchange_times(self.lake, self.lateness)
        return self._times

    def _times_after(
        self, bars: pa.Table, before: dict[str, ExchangeTime]
    ) -> dict[str, ExchangeTime]:
        after = {
            exchange: ExchangeTime(time.newest, time.newest - self.lateness)
            for exchange, time in before.items()
        }
        latest = pa.table(
            {
                "exchange": bars["exchange"],
                "at": pc.struct_field(bars["last_trade"], "timestamp_us").cast(_INSTANT),
            }
        )
        for row in latest.group_by("exchange").aggregate([("at", "max")]).to_pylist():
            exchange, newest = row["exchange"], row["at_max"].astimezone(UTC)
            if exchange not in after or newest > after[exchange].newest:
                after[exchange] = ExchangeTime(newest, newest - self.lateness)
        return after

    def _stored(
        self,
        bars: pa.Table,
        before: dict[str, ExchangeTime],
        after: dict[str, ExchangeTime],
    ) -> pa.Table:
        """All stored bars of the days of ``bars``, and those that may become final."""
        recomputed = set(pc.unique(bars["bar_start"].cast(pa.date32())).to_pylist())
        ending = {
            day
            for exchange, time in before.items()
            if after[exchange].final_until > time.final_until
            for day in _days(time.final_until - _LONGEST_BAR, time.newest)
        }
        days = recomputed | ending
        is_recomputed = f"bar_date in ({', '.join(map(literal, recomputed)) or 'null'})"
        of_days = scan(self._opened(), where=[("bar_date", "in", days)])
        return of_days.table(f"{is_recomputed} or not is_final")

    def _commit(self, changed: pa.Table, txn: TxnId | None) -> None:
        """Rewrite the partitions of ``changed``, with its bars in place of the stored ones.

        Delta's merge would do the same, but leaves files whose texts Arrow's filters cannot read.
        """
        table = self._opened()
        transactions = [Transaction(txn.app_id, txn.version)] if txn else []
        partitions = changed.group_by(["timeframe", "bar_date"]).aggregate([]).to_pylist()
        days = {part["bar_date"] for part in partitions}
        stored = scan(table, where=[("bar_date", "in", days)]).table()
        with named_errors(GOLD_OHLCV):
            write_deltalake(
                table,
                rebuilt(with_changes(stored, changed), GOLD_OHLCV),
                mode="overwrite",
                predicate=" or ".join(
                    f"(timeframe = '{part['timeframe']}' and bar_date = '{part['bar_date']}')"
                    for part in partitions
                ),
                writer_properties=_COMPRESSION,
                # Nobody else may commit here, so a conflict is a failure, not a retry.
                commit_properties=CommitProperties(
                    app_transactions=transactions, max_commit_retries=0
                ),
                post_commithook_properties=NOTHING_ELSE,
            )
            keep_log(table, GOLD_OHLCV, self.retention)


def _days(first: datetime, last: datetime) -> Iterable[date]:
    return (
        first.date() + timedelta(days=number)
        for number in range((last.date() - first.date()).days + 1)
    )

"""The balance of recent records while streams run, cheap enough to run every minute.

``k2 balance`` proves the whole; this looks at the offsets since the last look, and again at those
where it found something. What is on its way is no difference: it compares no record that is newer than
the newest one that the next step has, nor one that the next stream has not committed. Nor is an offset that
no table has, when Kafka gives no record of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from k2.bronze.table import bronze_trades
from k2.errors import K2Error
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.quality.consistent_cut import files_in_flight, unread_by_gold, unread_by_silver
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.sql import query, text
from k2.storage.delta import open_table
from k2.storage.file_pruning import Condition
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import data_files, scan, scan_table
from k2.storage.table import Table

WINDOW = 200_000  # offsets of a partition that one look covers, at most
_LAST_FILES = 8  # of Bronze, among which every partition that moves has one

_PLACES = pa.schema([("partition", pa.int32()), ("offset", pa.int64())])

Offsets = npt.NDArray[np.int64]
# Gives the offsets of a topic's partition, from one up to another, that hold a committed record.
CommittedOffsets = Callable[[str, int, int, int], Iterable[int]]


@dataclass
class RecentBalance:
    """One exchange's account of its newest records.

    Without ``committed_offsets`` every offset must have a record.
    """

    settings: Settings
    exchange: Exchange
    committed_offsets: CommittedOffsets | None = None
    _from: dict[int, int] = field(default_factory=dict)  # by partition, the first to look at
    _wrong: dict[int, Offsets] = field(default_factory=dict)  # by partition, as of the last look

    def differences(self) -> int:
        """Count the offsets that were missing somewhere, or double, at this look and the last one.

        One look is no proof: a replay of dead letters, which no checkpoint knows, writes several tables.
        """
        first = {
            partition: max(self._from.get(partition, 0), newest + 1 - WINDOW)
            for partition, newest in self._newest().items()
        }
        if not first:
            return 0
        least, exchange = min(first.values()), self.exchange
        # From the end to the start, and how far a stream is before what it has written: so what comes
        # meanwhile is missing nowhere.
        gold_unread = unread_by_gold(self.settings, exchange)
        gold = self._read(GOLD_TRADES, least, ("exchange", "=", exchange.name))
        silver_unread = unread_by_silver(self.settings, exchange)
        resolved = self._read(resolutions(exchange), least)
        judged = [
            self._read(table(exchange), least)
            for table in (silver_trades, dead_letters, duplicates)
        ]
        bronze = self._read(bronze_trades(exchange), least)
        in_flight = pa.concat_tables(
            [
                self._in_flight(bronze_trades(exchange), silver_unread),
                self._in_flight(silver_trades(exchange), gold_unread),
            ]
        )
        parts = (bronze, *judged, resolved, gold, in_flight)
        return sum(
            self._look(partition, start, *(_of(part, partition) for part in parts))
            for partition, start in first.items()
        )

    def _look(
        self,
        partition: int,
        first: int,
        bronze: Offsets,
        silver: Offsets,
        dead: Offsets,
        double: Offsets,
        resolved: Offsets,
        gold: Offsets,
        in_flight: Offsets,
    ) -> int:
        end = 1 + max((int(part.max()) for part in (silver, dead, double) if part.size), default=-1)
        if end <= first:
            return 0
        in_silver = _counts(first, end, silver)
        # A resolved dead letter stays where it was and is a trade or a duplicate besides.
        judged = in_silver + sum(_counts(first, end, part) for part in (dead, double))
        in_bronze = _counts(first, end, bronze)
        wrong = (in_bronze != 1) | (judged - _counts(first, end, resolved) != 1)
        unknown = self._pass_over_empty(partition, first, wrong, (in_bronze == 0) & (judged == 0))
        reached = min(max(int(gold.max()) + 1 - first, 0), end - first) if gold.size else 0
        wrong[:reached] |= (_counts(first, end, gold) != in_silver)[:reached]
        on_its_way = _counts(first, end, in_flight) > 0
        wrong &= ~on_its_way
        found = np.flatnonzero(wrong) + first
        before = self._wrong.get(partition, np.array([], np.int64))
        self._wrong[partition] = found
        # What Gold has not reached is looked at again, when it has.
        again = [*found[:1].tolist(), *unknown, *(np.flatnonzero(on_its_way)[:1] + first).tolist()]
        self._from[partition] = min([*again, first + reached])
        return int(np.intersect1d(found, before).size)

    def _pass_over_empty(
        self,
        partition: int,
        first: int,
        wrong: npt.NDArray[np.bool_],
        absent: npt.NDArray[np.bool_],
    ) -> list[int]:
        """Take from ``wrong`` the ``absent`` offsets that hold no record in Kafka.

        While Kafka does not answer none of them is wrong; the first one is returned, to be looked at again.
        """
        offsets = np.flatnonzero(absent) + first
        if self.committed_offsets is None or not offsets.size:
            return []
        span = (int(offsets[0]), int(offsets[-1]) + 1)
        try:
            given = list(self.committed_offsets(self.exchange.topic, partition, *span))
        except K2Error:
            wrong[absent] = False
            return [span[0]]
        wrong[absent] = np.isin(offsets, np.array(given, np.int64))
        return []

    def _newest(self) -> dict[int, int]:
        """Return each partition's newest offset in the last files of Bronze."""
        table = bronze_trades(self.exchange)
        stored = open_table(self.settings.lake, table)
        if stored is None:
            return {}
        files = data_files(stored).sort_by([("modification_time", "descending")])[:_LAST_FILES]
        rows = scan(stored, ["partition", "offset"], files=files).table()
        newest = rows.group_by("partition").aggregate([("offset", "max")])
        return {row["partition"]: row["offset_max"] for row in newest.to_pylist()}

    def _in_flight(self, table: Table, unread: int | None) -> pa.Table:
        """The places of the records that the table's reader has not committed."""
        stored = open_table(self.settings.lake, table)
        files = files_in_flight(self.settings.lake, table, stored, unread, has_begun=True)
        if not files:
            return _PLACES.empty_table()
        listed = ", ".join(map(text, files))
        with named_read_errors(files):
            found = query(
                f'select "partition", "offset" from read_parquet([{listed}],'  # noqa: S608
                " hive_partitioning = false)"
            )
        return found.cast(_PLACES)

    def _read(self, table: Table, least: int, *more: Condition) -> pa.Table:
        wanted = [("offset", ">=", least), *more]
        return scan_table(self.settings.lake, table, ["partition", "offset"], wanted).table()


def _of(rows: pa.Table, partition: int) -> Offsets:
    chosen = rows.filter(pc.equal(rows["partition"], partition))["offset"]
    return np.asarray(chosen.to_numpy(), np.int64)


def _counts(first: int, end: int, offsets: Offsets) -> Offsets:
    """How often each offset from ``first`` up to but without ``end`` is there."""
    inside = offsets[(offsets >= first) & (offsets < end)]
    return np.bincount(inside - first, minlength=end - first)

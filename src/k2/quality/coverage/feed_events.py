"""Why trades did not come, by what the live feeds say of their sessions: ``ops_feed_sessions``."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.table import Cause
from k2.storage.file_pruning import Condition
from k2.storage.read_errors import named_log_errors
from k2.storage.scan import scan

# Written by the live feed; a home without one has no such table, and no cause is known.
TABLE_NAME = "ops_feed_sessions"
_COLUMNS = ("exchange", "symbol", "event", "at")
_CAUSES = {
    "halted": Cause.EXCHANGE_HALTED,
    "archive_gap": Cause.SOURCE_ARCHIVE,
    **dict.fromkeys(
        ("connected", "disconnected", "feed_failed", "stopped", "spool_dropped"), Cause.FEED_DOWN
    ),
}
_CLOCKS_DIFFER = timedelta(seconds=5)  # the exchange's and the feed's


@dataclass(frozen=True)
class FeedEvents:
    """Events by exchange and market, in order; those of all markets of an exchange are under ''."""

    by_market: Mapping[tuple[str, str], list[tuple[datetime, str]]]

    @classmethod
    def read(cls, lake: Path, since: datetime) -> "FeedEvents":
        """Read the events since a time."""
        path = lake / TABLE_NAME
        if not DeltaTable.is_deltatable(str(path)):
            return cls({})
        with named_log_errors(TABLE_NAME):
            stored = DeltaTable(path)
        where: list[Condition] = [("at", ">=", since)]
        return cls.of(scan(stored, _COLUMNS, where).table().to_pylist())

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "FeedEvents":
        """Take events as the table has them."""
        found: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
        for row in rows:
            if row["event"] in _CAUSES:
                found[row["exchange"], row["symbol"] or ""].append((row["at"], row["event"]))
        return cls({market: sorted(events) for market, events in found.items()})

    def cause(self, exchange: str, symbol: str, gap: Gap) -> Cause:
        """Return why a gap's trades did not come; unknown where no event lies in it."""
        causes = {
            _CAUSES[event]
            for market in (symbol, "")
            for event in _within(self.by_market.get((exchange, market), []), gap)
        }
        # What the exchange itself says explains more than that the connection ended then.
        for cause in (Cause.EXCHANGE_HALTED, Cause.SOURCE_ARCHIVE, Cause.FEED_DOWN):
            if cause in causes:
                return cause
        return Cause.UNKNOWN


def _within(events: list[tuple[datetime, str]], gap: Gap) -> list[str]:
    start, end = gap.start - _CLOCKS_DIFFER, gap.end + _CLOCKS_DIFFER
    first = bisect_left(events, (start, ""))
    found = []
    for at, event in events[first:]:
        if at > end:
            break
        found.append(event)
    return found

"""Why trades did not come, by what the live feeds say of their sessions: ``ops_feed_sessions``."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from k2.feeds.archive_holes import ARCHIVE_GAP
from k2.feeds.sessions.table import OPS_FEED_SESSIONS
from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.states import Cause
from k2.storage.scan import scan_table

_DOWN = frozenset(
    {"started", "stopped", "connected", "disconnected", "waiting", "shutdown", "feed_failed"}
)
_TRADING = frozenset({"", "online"})  # what an exchange's status says while it trades
_CLOCKS_DIFFER = timedelta(seconds=5)  # the exchange's and the feed's


@dataclass(frozen=True)
class FeedEvents:
    """Events by exchange and market, in order; those of all markets of an exchange are under ''.

    ``skipped`` are the numbers that recordings and archives did not have when they were replayed.
    """

    by_market: Mapping[tuple[str, str], list[tuple[datetime, Cause]]]
    skipped: Mapping[tuple[str, str], list[tuple[int, int]]]

    @classmethod
    def read(cls, lake: Path, since: datetime) -> "FeedEvents":
        """Read the events since a time."""
        return cls.of(
            scan_table(
                lake,
                OPS_FEED_SESSIONS,
                ["exchange", "symbol", "event", "reason", "at", "first_id", "last_id"],
                [("day", ">=", since.astimezone(UTC).date()), ("at", ">=", since)],
            )
            .table()
            .to_pylist()
        )

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "FeedEvents":
        """Take events as the table has them."""
        found: dict[tuple[str, str], list[tuple[datetime, Cause]]] = defaultdict(list)
        skipped: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for row in rows:
            if row["event"] == ARCHIVE_GAP and row["first_id"] is not None and row["symbol"]:
                skipped[row["exchange"], row["symbol"]].append((row["first_id"], row["last_id"]))
            cause = _cause(row["event"], row["reason"] or "")
            if cause is not None:
                found[row["exchange"], row["symbol"] or ""].append((row["at"], cause))
        return cls({market: sorted(events) for market, events in found.items()}, skipped)

    def cause(self, exchange: str, symbol: str, gap: Gap) -> Cause:
        """Return why a gap's trades did not come; unknown where no event explains it.

        An archive that lacks all of them explains it whenever it was read, other events only where they
        lie in the gap.
        """
        causes = {
            cause
            for market in (symbol, "")
            for cause in _within(self.by_market.get((exchange, market), []), gap)
        }
        if self._is_skipped(exchange, symbol, gap):
            causes.add(Cause.SOURCE_ARCHIVE)
        # What the exchange itself says explains more than that the connection ended then. Where the
        # archive lacks the trades, too, it matters no more that a feed was down.
        for cause in (Cause.EXCHANGE_HALTED, Cause.SOURCE_ARCHIVE, Cause.FEED_DOWN):
            if cause in causes:
                return cause
        return Cause.UNKNOWN

    def _is_skipped(self, exchange: str, symbol: str, gap: Gap) -> bool:
        return (
            gap.first_id is not None
            and gap.last_id is not None
            and any(
                first <= gap.first_id and gap.last_id <= last
                for first, last in self.skipped.get((exchange, symbol), ())
            )
        )


def _cause(event: str, reason: str) -> Cause | None:
    """Why trades may be missing when something happened; None: that is no reason."""
    if event in _DOWN or (event == "gap_opened" and reason):  # with a reason: lost within K2
        return Cause.FEED_DOWN
    states = {state.strip() for state in reason.split(",")}
    return Cause.EXCHANGE_HALTED if event == "status" and states - _TRADING else None


def _within(events: list[tuple[datetime, Cause]], gap: Gap) -> list[Cause]:
    start, end = gap.start - _CLOCKS_DIFFER, gap.end + _CLOCKS_DIFFER
    first = bisect_left(events, start, key=lambda event: event[0])
    return [cause for _, cause in takewhile(lambda event: event[0] <= end, events[first:])]

"""Why trades did not come, by what live feeds noted."""

from datetime import UTC, datetime, timedelta

import pytest

from k2.quality.coverage.feed_events import FeedEvents
from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.states import Cause

pytestmark = pytest.mark.unit

START = datetime(2026, 9, 1, 12, tzinfo=UTC)
GAP = Gap(1, 5, START, START + timedelta(minutes=1))


def cause(event: str, seconds: float = 30, reason: str = "", symbol: str | None = None) -> Cause:
    at = START + timedelta(seconds=seconds)
    row = {"exchange": "kraken", "symbol": symbol, "event": event, "reason": reason, "at": at}
    return FeedEvents.of([row]).cause("kraken", "BTC-USD", GAP)


@pytest.mark.parametrize("event", ["disconnected", "started", "waiting", "feed_failed"])
def test_a_connection_that_ended_or_began_in_a_gap_is_a_feed_that_was_down(event: str) -> None:
    assert cause(event) is Cause.FEED_DOWN
    assert cause(event, symbol="BTC-USD") is Cause.FEED_DOWN


def test_an_exchange_that_says_it_does_not_trade_is_halted() -> None:
    assert cause("status", reason="maintenance") is Cause.EXCHANGE_HALTED
    assert cause("status", reason="online") is Cause.UNKNOWN


def test_what_the_exchange_says_counts_more_than_the_connection() -> None:
    rows = [
        {"exchange": "kraken", "symbol": None, "event": event, "reason": reason, "at": START}
        for event, reason in (("disconnected", "closed"), ("status", "online, maintenance"))
    ]

    assert FeedEvents.of(rows).cause("kraken", "BTC-USD", GAP) is Cause.EXCHANGE_HALTED


@pytest.mark.parametrize(
    ("event", "seconds", "symbol"),
    [("disconnected", -60, None), ("disconnected", 120, None), ("disconnected", 30, "ETH-USD")],
)
def test_events_of_other_times_and_markets_explain_nothing(
    event: str, seconds: float, symbol: str | None
) -> None:
    assert cause(event, seconds, symbol=symbol) is Cause.UNKNOWN


def test_trades_that_a_full_spool_dropped_were_lost_by_the_feed() -> None:
    assert cause("gap_opened", reason="the spool was full") is Cause.FEED_DOWN
    assert cause("gap_opened") is Cause.UNKNOWN


def archive_gap(first: int, last: int, symbol: str | None = "BTC-USD") -> dict[str, object]:
    """What a replay noted, long after the trades were missed."""
    at = START + timedelta(days=30)
    numbers = {"first_id": first, "last_id": last}
    return (
        {"exchange": "kraken", "symbol": symbol, "event": "archive_gap", "at": at}
        | numbers
        | {"reason": "kraken.jsonl"}
    )


@pytest.mark.parametrize(("first", "last"), [(1, 5), (0, 9)])
def test_numbers_that_a_replayed_archive_skips_are_of_the_source_archive(
    first: int, last: int
) -> None:
    events = FeedEvents.of([archive_gap(first, last)])

    assert events.cause("kraken", "BTC-USD", GAP) is Cause.SOURCE_ARCHIVE


@pytest.mark.parametrize(
    "row",
    [archive_gap(2, 5), archive_gap(1, 4), archive_gap(1, 5, "ETH-USD"), archive_gap(1, 5, None)],
    ids=["had the first", "had the last", "another market", "no market that is known"],
)
def test_an_archive_that_had_some_of_them_explains_nothing(row: dict[str, object]) -> None:
    assert FeedEvents.of([row]).cause("kraken", "BTC-USD", GAP) is Cause.UNKNOWN


def test_a_gap_without_numbers_is_not_of_an_archive() -> None:
    by_time = Gap(None, None, GAP.start, GAP.end)

    assert FeedEvents.of([archive_gap(1, 5)]).cause("kraken", "BTC-USD", by_time) is Cause.UNKNOWN


def test_where_the_archive_lacks_them_too_it_counts_more_than_that_the_feed_was_down() -> None:
    down = {
        "exchange": "kraken",
        "symbol": None,
        "event": "disconnected",
        "reason": "",
        "at": START,
    }

    events = FeedEvents.of([down, archive_gap(1, 5)])

    assert events.cause("kraken", "BTC-USD", GAP) is Cause.SOURCE_ARCHIVE

"""A record on its way from a live feed to Kafka, and what is said of those that were lost there."""

from typing import NamedTuple


class FeedRecord(NamedTuple):
    """A record for Kafka. ``first`` to ``last`` are the numbers that it covers in its ``market``.

    ``event_us`` is the exchange's time of the trade, by which some histories are asked.
    """

    topic: str
    key: bytes | None
    value: bytes
    time_ms: int
    market: str = ""
    first: int | None = None
    last: int | None = None
    event_us: int = 0


class Dropped(NamedTuple):
    """What went out of a full spool: records, and by market the numbers from the first to the last."""

    records: int
    ranges: dict[str, tuple[int, int, int]]  # market → first, last, and the first's event_us


def dropped_of(records: list[FeedRecord]) -> Dropped:
    """Say what records had that are lost."""
    return Dropped(len(records), _ranges(records))


def _ranges(records: list[FeedRecord]) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for record in records:
        if record.first is not None and record.last is not None:
            own = record.first, record.last, record.event_us
            first, last, event_us = found.get(record.market, own)
            found[record.market] = (
                min(first, record.first),
                max(last, record.last),
                min(event_us, record.event_us),
            )
    return found

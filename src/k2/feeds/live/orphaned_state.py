"""What ended processes of a home left behind, taken over by one that runs: spools, and holes.

A rolling restart ends the older process, perhaps while Kafka is away: nobody would send what it spooled, nor
ask for what it lacks, until a process takes its place again.
"""

from collections.abc import Sequence

import structlog

from k2.errors import InUseError
from k2.feeds.live.feed import LiveFeed
from k2.feeds.live.feed_state import (
    MAX_PLACES,
    adopt_holes,
    hold_place,
    is_taken,
    placed,
    read_place,
    state_content,
    write_state,
)
from k2.settings import Settings

log = structlog.get_logger("k2.feeds")

_SEGMENTS_AT_ONCE = 2  # of a spool: they are counted, and other work waits meanwhile


def take_over(settings: Settings, place: int, feeds: Sequence[LiveFeed]) -> int:
    """Take over what places without a process hold, for the services of ``feeds``.

    Returns:
        How many records were in the spools; a large spool takes several calls.
    """
    count = 0
    for other in range(MAX_PLACES):
        if other == place or is_taken(settings, other):
            continue
        try:
            with hold_place(settings, other):
                count += sum(_take_over(settings, place, other, feed) for feed in feeds)
        except InUseError:
            continue
    return count


def _take_over(settings: Settings, place: int, other: int, feed: LiveFeed) -> int:
    service = feed.service.name
    left = read_place(settings, service, other)
    if any(numbers.holes for numbers in left.values()):
        feed.adopt(left)
        ours = read_place(settings, service, place)
        adopt_holes(ours, left)
        write_state(settings, placed(service, place), state_content(ours))  # before theirs forgets
        for numbers in left.values():
            numbers.holes = []
        write_state(settings, placed(service, other), state_content(left))
    moved = feed.sender.take_over(
        settings.home / "spool" / placed(service, other), _SEGMENTS_AT_ONCE
    )
    if moved:
        log.info("feed_spool_taken_over", service=service, records=moved, place=other)
    return moved

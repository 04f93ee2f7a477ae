"""Which trades a recording or an archive lacks by itself: numbers that it skips."""

from collections import defaultdict
from dataclasses import dataclass, field
from heapq import nlargest
from typing import NamedTuple

from k2.exchanges.exchange import Exchange
from k2.exchanges.live import LiveService
from k2.exchanges.live_services import services_of
from k2.exchanges.names import SPOT
from k2.exchanges.parsing import RawRecord
from k2.feeds.live.holes import MarketNumbers

ARCHIVE_GAP = "archive_gap"  # the event in ops_feed_sessions
MAX_NOTED = 1_000  # of what is read at a time, the largest


class SkippedRange(NamedTuple):
    """Numbers ``first`` to ``last`` of a market that were not there."""

    service: LiveService
    market: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return self.last - self.first + 1


@dataclass
class ArchiveHoles:
    """Follows the numbers of one recording, in its own order. What was before its first trade is no hole."""

    exchange: Exchange
    _numbers: dict[tuple[str, str], MarketNumbers] = field(
        default_factory=lambda: defaultdict(MarketNumbers)
    )

    def __post_init__(self) -> None:
        self._services = services_of(self.exchange.name)

    def take(self, record: RawRecord) -> None:
        """Note the numbers of a trade; one of an unknown market, or without numbers, shows nothing."""
        market = record.get("market", SPOT)
        for service in self._services:
            if service.market == market and (numbers := service.numbers(record)) is not None:
                self._numbers[service.name, record["symbol"]].take(*numbers, 0, 0)
                return

    def found(self) -> list[SkippedRange]:
        """Return what was skipped since the last call and did not come after all: the largest of it."""
        services = {service.name: service for service in self._services}
        skipped = [
            SkippedRange(services[name], market, hole.first, hole.last)
            for (name, market), known in self._numbers.items()
            for hole in known.holes
        ]
        for known in self._numbers.values():
            known.holes = []
        return nlargest(MAX_NOTED, skipped, key=lambda found: found.size)

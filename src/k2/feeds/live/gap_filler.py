"""Fills the holes of a live feed from the exchange's history, or settles them with a reason."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from k2.errors import ConfigError, FailedError, K2Error
from k2.exchanges.live import Missing
from k2.feeds.live.holes import Hole, MarketNumbers
from k2.feeds.live.journal import FeedJournal
from k2.feeds.live.refill import Refill
from k2.retry import RetryPolicy

log = structlog.get_logger("k2.feeds")

_GRACE_SECONDS = 2.0  # for what is only out of order
_MAX_HOLE = 1_000_000  # trades that are asked for at once
_PAGE = 1_000  # holes nearer to each other than this are asked for together
# The history may lag behind the websocket: what it does not have is asked for again, ever later.
WAITS = RetryPolicy(attempts=6)


@dataclass
class GapFiller:
    """Asks for what is missing of ``numbers``, a hole after the other; what comes is taken as it comes.

    Six answers without the trades, over half a minute, are final; no answer is asked again.
    """

    numbers: Mapping[str, MarketNumbers]
    refill: Refill | None
    journal: FeedJournal
    _retry_at: dict[tuple[str, int], float] = field(default_factory=dict)
    _tries: dict[tuple[str, int], int] = field(default_factory=dict)

    async def run(self) -> None:
        """Fill holes until cancelled."""
        while True:
            await asyncio.sleep(0.5)
            if self.refill is None:
                continue
            now = time.monotonic()
            for market, hole in self._due(now):
                await self._fill(market, hole)

    def _due(self, now: float) -> list[tuple[str, Hole]]:
        """Return what to ask for: the holes that are due, those near each other as one."""
        old_enough = time.time_ns() // 1000 - int(_GRACE_SECONDS * 1e6)
        found: list[tuple[str, Hole]] = []
        for market, known in self.numbers.items():
            together: Hole | None = None
            for hole in known.open_holes():
                if hole.found_us > old_enough or now < self._retry_at.get((market, hole.first), 0):
                    continue
                if together is not None and hole.last - together.first < _PAGE:
                    together.last = hole.last
                    continue
                together = replace(hole)
                found.append((market, together))
        return found

    async def _fill(self, market: str, hole: Hole) -> None:
        assert self.refill is not None  # noqa: S101 — asked before
        first, last = hole.first, min(hole.last, hole.first + _MAX_HOLE - 1)
        missing = Missing(market, first, last, hole.after_us)
        key = market, first
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        try:
            await self.refill.fetch(missing)
        except (FailedError, ConfigError) as error:
            self._settle(market, first, last, str(error))
            return
        except (K2Error, KeyError, TypeError, ValueError) as error:
            self._tries[key] = min(tries, WAITS.attempts - 1)  # no answer, or none that can be read
            self._wait(key)
            log.warning("gap_stays_open", market=market, first=first, last=last, reason=str(error))
            return
        known = self.numbers[market]
        left = [h for h in known.open_holes() if h.first <= last and h.last >= first]
        if left and tries < WAITS.attempts:
            self._wait(key)
        elif left:
            # Asked for by number and answered without it: the exchange does not have it.
            self._settle(market, first, last, "the exchange's history does not have it")
        else:
            self._retry_at.pop(key, None)
            self._tries.pop(key, None)
            self.journal.write("gap_closed", markets=[market], first=first, last=last)
            log.info("gap_filled", market=market, first=first, last=last)

    def _wait(self, key: tuple[str, int]) -> None:
        self._retry_at[key] = time.monotonic() + WAITS.delay_seconds(self._tries[key])

    def _settle(self, market: str, first: int, last: int, reason: str) -> None:
        self.numbers[market].settle(first, last, reason)
        self.journal.write("gap_final", markets=[market], first=first, last=last, reason=reason)
        log.error("gap_final", market=market, first=first, last=last, reason=reason[:200])

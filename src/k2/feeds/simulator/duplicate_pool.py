"""What a simulated feed may send once more: a bounded sample of all that it has sent."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from k2.feeds.simulator.record import SimulatedRecord

HOUR_US = 3_600_000_000

_RECENT = 8_192
_SLICE_US = 300_000_000  # of each five minutes some are kept, so that all ages come again
_OF_A_SLICE = 200
_OLD = 20_000


@dataclass
class _Slice:
    end_us: int
    trades: int = 0
    kept: list[SimulatedRecord] = field(default_factory=list)


class DuplicatePool:
    """Trades to repeat: recent ones, and ones that happened more than an hour ago."""

    def __init__(self) -> None:
        self._recent: deque[SimulatedRecord] = deque(maxlen=_RECENT)
        self._late: deque[SimulatedRecord] = deque(maxlen=_RECENT)
        self._slices: deque[_Slice] = deque()
        self._old: list[SimulatedRecord] = []

    def __bool__(self) -> bool:
        """Tell whether anything was sent."""
        return bool(self._recent or self._late)

    def remember(self, record: SimulatedRecord, now_us: int, chance: float) -> None:
        """Take in a trade sent at ``now_us``; ``chance`` (0 to 1) is a random number."""
        if now_us - record.fact.time_us > HOUR_US:
            self._late.append(record)
            return
        self._recent.append(record)
        if not self._slices or now_us >= self._slices[-1].end_us:
            self._slices.append(_Slice(now_us + _SLICE_US))
        newest = self._slices[-1]
        newest.trades += 1
        if len(newest.kept) < _OF_A_SLICE:
            newest.kept.append(record)
        elif (place := int(chance * newest.trades)) < _OF_A_SLICE:
            newest.kept[place] = record

    def recent(self, now_us: int, chance: float) -> SimulatedRecord:
        """Return one of the newest trades; one over an hour old while there is no other."""
        while len(self._recent) > 1 and now_us - self._recent[0].fact.time_us > HOUR_US:
            self._recent.popleft()
        return _pick(self._recent or self._late, chance)

    def old(self, now_us: int, pool: float, chance: float) -> SimulatedRecord:
        """Return a trade of more than an hour before ``now_us``; a recent one while there is none.

        Half of them were sent more than an hour ago, the others late by more than that, if there
        are both; ``pool`` and ``chance`` (0 to 1) choose.
        """
        self._age(now_us)
        if self._old and (pool < 0.5 or not self._late):
            return _pick(self._old, chance)
        return _pick(self._late or self._recent, chance)

    def _age(self, now_us: int) -> None:
        while self._slices and now_us - self._slices[0].end_us > HOUR_US:
            self._old += self._slices.popleft().kept
            if len(self._old) > _OLD:
                self._old = self._old[::2]


def _pick(among: Sequence[SimulatedRecord], chance: float) -> SimulatedRecord:
    return among[int(chance * len(among))]

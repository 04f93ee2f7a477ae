"""Cache of one-minute bars, so that the next batch can add to them without reading Gold again."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from k2.bars.aggregate import HOUR

_MOST = 250_000  # bars, some 400 bytes each


@dataclass
class MinuteCache:
    """The one-minute bars of hours (counted from 1970), of all trades up to a batch's end.

    They are right only for the batch after that one. Beyond ``most`` bars, those that were not used for the
    longest time are dropped.
    """

    most: int = _MOST
    _bars: dict[int, pa.Table] = field(default_factory=dict)
    _next: int | None = None

    def begin(self, batch: int) -> None:
        """Clear the cache unless ``batch`` is the next one; until its end the cache is not valid for a later batch."""
        if batch != self._next:
            self._bars.clear()
        self._next = None

    def end(self, batch: int, minutes: pa.Table, hours: Iterable[int]) -> None:
        """Store the bars of ``hours`` from ``minutes``, which has all of them."""
        of_minutes = hours_of(minutes)
        for hour in hours:
            self._bars.pop(hour, None)
            self._bars[hour] = minutes.filter(pc.equal(of_minutes, hour)).combine_chunks()
        count = sum(bars.num_rows for bars in self._bars.values())
        for hour in list(self._bars):
            if count <= self.most:
                break
            count -= self._bars.pop(hour).num_rows
        self._next = batch + 1

    def __contains__(self, hour: int) -> bool:
        return hour in self._bars

    def of(self, hours: Iterable[int]) -> list[pa.Table]:
        """Return the cached bars of these hours."""
        return [self._bars[hour] for hour in hours if hour in self._bars]


def hours_of(bars: pa.Table) -> pa.ChunkedArray:
    """Return the hour that each bar starts in."""
    return pc.divide(bars["bar_start"].cast(pa.int64()), HOUR * 1_000_000)

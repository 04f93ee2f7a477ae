"""Sets of integers stored as ranges: ids that grow by one take a few bytes, however many there are.

An exchange that numbers its trades one by one needs one range for each market.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
_EMPTY = np.empty(0, np.int64)


@dataclass(frozen=True)
class IdRanges:
    """A set of int64 as sorted, disjoint, non-adjacent ranges ``lows[i] … highs[i]``, both ends included."""

    lows: Numbers
    highs: Numbers

    @classmethod
    def empty(cls) -> "IdRanges":
        """Return the empty set."""
        return cls(_EMPTY, _EMPTY)

    @classmethod
    def of(cls, numbers: Numbers) -> "IdRanges":
        """Return the set of these numbers, which may repeat and come in any order."""
        ordered = np.unique(numbers)
        if not ordered.size:
            return cls.empty()
        breaks = np.flatnonzero(np.diff(ordered) != 1)
        lows = ordered[np.concatenate(([0], breaks + 1))]
        highs = ordered[np.concatenate((breaks, [ordered.size - 1]))]
        return cls(lows, highs)

    @classmethod
    def of_ranges(cls, lows: Numbers, highs: Numbers) -> "IdRanges":
        """Return the set of all numbers in these ranges, which may overlap and come in any order."""
        if not lows.size:
            return cls.empty()
        order = np.argsort(lows, kind="stable")
        lows, highs = lows[order], np.maximum.accumulate(highs[order])
        # A range starts where it lies after all before it and does not touch them. Only lows above
        # a high count, so that what overflows at -2**63 is never asked for.
        after = lows[1:] > highs[:-1]
        starts = np.concatenate(([True], after & (lows[1:] - 1 != highs[:-1])))
        ends = np.concatenate((starts[1:], [True]))
        return cls(lows[starts], highs[ends])

    def contains(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Tell for each number whether it is in the set."""
        if not self.lows.size:
            return np.zeros(numbers.shape, np.bool_)
        place = np.searchsorted(self.lows, numbers, side="right") - 1
        return (place >= 0) & (numbers <= self.highs[np.maximum(place, 0)])

    def union(self, other: "IdRanges") -> "IdRanges":
        """Return the set of the numbers of both."""
        lows = np.concatenate((self.lows, other.lows))
        highs = np.concatenate((self.highs, other.highs))
        return IdRanges.of_ranges(lows, highs)

    def count(self, lows: Numbers, highs: Numbers) -> Numbers:
        """Return for each range ``lows[i] … highs[i]`` how many of its numbers are in the set."""
        if not self.lows.size:
            return np.zeros(lows.shape, np.int64)
        return self._count_up_to(highs) - self._count_up_to(lows) + self.contains(lows)

    def _count_up_to(self, numbers: Numbers) -> Numbers:
        place = np.searchsorted(self.lows, numbers, side="right") - 1
        sizes = self.highs - self.lows + 1
        before, at = np.cumsum(sizes) - sizes, np.maximum(place, 0)
        inside = np.minimum(numbers, self.highs[at]) - self.lows[at] + 1
        counts: Numbers = np.where(place >= 0, before[at] + inside, 0)
        return counts

    def __len__(self) -> int:
        """Return the number of ranges, which determines the memory used."""
        return int(self.lows.size)

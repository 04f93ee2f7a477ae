"""Find the records of a batch that repeat fills seen before, in the order in which the records came.

A record covers a range of the exchange's trade ids: a trade covers one id, an aggregate those of its fills. A
record is new when none of its ids was seen, repeated when all were, and overlapping when some were.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from k2.silver.dedup.id_ranges import IdRanges, Numbers
from k2.silver.dedup.seen_numbers import BLOCK_BITS, BlockKey, SeenNumbers

NEW, REPEATED, OVERLAPS = range(3)
# Ids that the exchange used up without a trade have a space of their own beside that of the trades.
_FILLERS = "-fillers"

Outcomes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class IdBatch:
    """Records in the order in which they came: ``spaces[code]``, and the ids ``first … last``.

    A filler is a record which says that no trade has its id.
    """

    spaces: Sequence[str]
    codes: Numbers
    firsts: Numbers
    lasts: Numbers
    is_filler: Flags

    def take(self, rows: Numbers) -> "IdBatch":
        """Return some records, in the order of ``rows``."""
        arrays = ("codes", "firsts", "lasts", "is_filler")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})


@dataclass(frozen=True)
class _Pieces:
    """Ranges cut at the ends of blocks: piece ``i`` is of the record ``rows[i]``, in ``places[which[i]]``."""

    rows: Numbers
    lows: Numbers
    highs: Numbers
    which: Numbers
    places: list[BlockKey]


@dataclass
class TakenIds:
    """Ids that records of the batch added, as ranges; ids of fillers among those of trades."""

    lows: list[int] = field(default_factory=list)
    highs: list[int] = field(default_factory=list)
    fillers: set[int] = field(default_factory=set)

    def count(self, first: int, last: int) -> int:
        """Return how many ids of a range are here."""
        start, end = bisect_left(self.highs, first), bisect_right(self.lows, last)
        pairs = zip(self.lows[start:end], self.highs[start:end], strict=True)
        return sum(min(high, last) - max(low, first) + 1 for low, high in pairs)

    def add(self, first: int, last: int) -> None:
        """Add ids of which none is in the set; an adjacent range grows instead of getting a neighbour."""
        at = bisect_left(self.lows, first)
        if at and self.highs[at - 1] == first - 1:
            at -= 1
            first = self.lows.pop(at)
            self.highs.pop(at)
        if at < len(self.lows) and self.lows[at] == last + 1:
            self.lows.pop(at)
            last = self.highs.pop(at)
        self.lows.insert(at, first)
        self.highs.insert(at, last)


def find_repeated_ids(
    batch: IdBatch, seen: SeenNumbers
) -> tuple[Outcomes, dict[BlockKey, IdRanges]]:
    """Return each record's outcome, and the ids that the batch adds to the seen ones."""
    order = np.lexsort((batch.firsts, batch.codes))  # stable: of equal ones the first to come leads
    ids = batch.take(order)
    starts = _cluster_starts(ids)
    leaders, cluster = np.flatnonzero(starts), np.cumsum(starts) - 1
    is_mixed = _are_mixed(ids, leaders, cluster)
    asked = np.flatnonzero(starts | is_mixed[cluster])
    pieces = _cut(ids.take(asked))
    found = np.zeros(order.size, np.int64)
    found[asked] = _count_seen(pieces, asked.size, seen)

    alone = leaders[~is_mixed]
    outcomes = np.full(order.size, REPEATED, np.int8)
    outcomes[alone] = _decide_alone(ids, alone, found, seen)
    # All other records of such a cluster are the same again.
    outcomes[(outcomes[leaders][cluster] == OVERLAPS) & ~is_mixed[cluster]] = OVERLAPS
    ends = np.append(leaders[1:], order.size)
    for start, end in zip(leaders[is_mixed].tolist(), ends[is_mixed].tolist(), strict=True):
        _decide_in_order(ids, start + np.argsort(order[start:end]), found, outcomes, seen)

    added = _ranges_of(pieces, outcomes[asked] == NEW)
    of_batch = np.empty(order.size, np.int8)
    of_batch[order] = outcomes
    return of_batch, added


def _cluster_starts(ids: IdBatch) -> Flags:
    """Where sorted records begin that have no id in common with those before."""
    is_other = _changes(ids.codes) | _changes(ids.firsts)
    if (ids.firsts == ids.lasts).all():
        return is_other
    values, ranks = np.unique(ids.lasts, return_inverse=True)
    highest = np.maximum.accumulate(ids.codes * values.size + ranks) - ids.codes * values.size
    is_after = np.ones(ids.codes.size, np.bool_)
    is_after[1:] = ids.firsts[1:] > values[highest[:-1]]
    return _changes(ids.codes) | is_after


def _are_mixed(ids: IdBatch, leaders: Numbers, cluster: Numbers) -> Flags:
    """Which clusters change between records more than once."""
    is_single = (ids.firsts == ids.lasts).all()
    if not leaders.size or (is_single and not ids.is_filler.any()):
        return np.zeros(leaders.size, np.bool_)
    led = ids.take(leaders[cluster])
    differs = (ids.firsts != led.firsts) | (ids.lasts != led.lasts)
    return np.logical_or.reduceat(differs | (ids.is_filler != led.is_filler), leaders)


def _cut(ids: IdBatch) -> _Pieces:
    rows = np.arange(ids.codes.size)
    low_blocks, high_blocks = ids.firsts >> BLOCK_BITS, ids.lasts >> BLOCK_BITS
    sizes = high_blocks - low_blocks + 1
    rows = np.repeat(rows, sizes)
    blocks = low_blocks[rows] + np.arange(rows.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    lows = np.maximum(ids.firsts[rows], blocks << BLOCK_BITS)
    highs = np.minimum(ids.lasts[rows], (blocks << BLOCK_BITS) + (2**BLOCK_BITS - 1))
    homes = (ids.codes + ids.is_filler * len(ids.spaces))[rows]
    order = np.lexsort((blocks, homes))
    starts = _changes(homes[order]) | _changes(blocks[order])
    which = np.empty(rows.size, np.int64)
    which[order] = np.cumsum(starts) - 1
    names = [*ids.spaces, *(space + _FILLERS for space in ids.spaces)]
    pairs = zip(homes[order][starts].tolist(), blocks[order][starts].tolist(), strict=True)
    return _Pieces(rows, lows, highs, which, [(names[home], block) for home, block in pairs])


def _count_seen(pieces: _Pieces, records: int, seen: SeenNumbers) -> Numbers:
    if not records:
        return np.empty(0, np.int64)
    counts = seen.count(pieces.places, pieces.which, pieces.lows, pieces.highs)
    if counts.size == records:
        return counts
    return np.add.reduceat(counts, np.flatnonzero(_changes(pieces.rows)))


def _decide_alone(ids: IdBatch, rows: Numbers, found: Numbers, seen: SeenNumbers) -> Outcomes:
    """Outcomes of records that have no id in common with others of the batch."""
    counts, sizes = found[rows], ids.lasts[rows] - ids.firsts[rows] + 1
    partly = np.where(counts == sizes, REPEATED, OVERLAPS)
    outcomes = np.where(counts == 0, NEW, partly).astype(np.int8)
    for at in np.flatnonzero(outcomes == OVERLAPS).tolist():
        if _rest_is_fillers(ids, int(rows[at]), TakenIds(), seen):
            outcomes[at] = REPEATED
    return outcomes


def _decide_in_order(
    ids: IdBatch, rows: Numbers, found: Numbers, outcomes: Outcomes, seen: SeenNumbers
) -> None:
    """Decide records that have ids in common, one after the other."""
    taken = TakenIds()
    for row in rows.tolist():
        first, last = int(ids.firsts[row]), int(ids.lasts[row])
        if ids.is_filler[row]:
            taken.fillers.add(first)
            outcomes[row] = NEW
            continue
        covered = int(found[row]) + taken.count(first, last)
        if not covered:
            taken.add(first, last)
            outcomes[row] = NEW
        elif covered < last - first + 1 and not _rest_is_fillers(ids, row, taken, seen):
            outcomes[row] = OVERLAPS


def _rest_is_fillers(ids: IdBatch, row: int, taken: TakenIds, seen: SeenNumbers) -> bool:
    """Whether all unseen ids of a record are ids without a trade."""
    first, last, space = int(ids.firsts[row]), int(ids.lasts[row]), ids.spaces[ids.codes[row]]
    blocks = range(first >> BLOCK_BITS, (last >> BLOCK_BITS) + 1)
    known = [seen.at((space + kind, block)) for kind in ("", _FILLERS) for block in blocks]
    fillers = sorted(taken.fillers)
    lows = [*(part.lows for part in known), np.array([*taken.lows, *fillers], np.int64)]
    highs = [*(part.highs for part in known), np.array([*taken.highs, *fillers], np.int64)]
    every = IdRanges.of_ranges(np.concatenate(lows), np.concatenate(highs))
    count = every.count(np.array([first], np.int64), np.array([last], np.int64))
    return bool(count[0] == last - first + 1)


def _ranges_of(pieces: _Pieces, is_new: Flags) -> dict[BlockKey, IdRanges]:
    chosen = is_new[pieces.rows]
    which, lows, highs = pieces.which[chosen], pieces.lows[chosen], pieces.highs[chosen]
    order = np.argsort(which, kind="stable")
    which, lows, highs = which[order], lows[order], highs[order]
    ends = [*np.flatnonzero(_changes(which)).tolist(), which.size]
    return {
        pieces.places[which[start]]: IdRanges.of_ranges(lows[start:end], highs[start:end])
        for start, end in pairwise(ends)
    }


def _changes(values: Numbers) -> Flags:
    """Where an array has another value than before; true at its start."""
    return np.concatenate((np.ones(min(values.size, 1), np.bool_), values[1:] != values[:-1]))

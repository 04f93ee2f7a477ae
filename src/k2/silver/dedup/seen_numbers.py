"""Seen numbers as ranges in blocks: memory holds the blocks in use, however many blocks there are."""

import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from k2.silver.dedup.id_ranges import IdRanges, Numbers

SCHEMA = """
create table if not exists ranges
    (space text, block integer, lows blob, highs blob, primary key (space, block));
"""
BLOCK_BITS = 16  # numbers of a block: 65,536, in one range where none is missing
_IN_BLOCK = 2**BLOCK_BITS - 1
_IN_MEMORY = 1_024  # blocks; of the worst kind, every other number missing, half a megabyte each

BlockKey = tuple[str, int]  # a space, and which block of its numbers


class SeenNumbers:
    """The numbers of all spaces. A batch reads and writes the blocks that it touches, no others."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._recent: OrderedDict[BlockKey, IdRanges] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of ranges."""
        total = self._database.execute("select sum(length(lows)) from ranges").fetchone()[0]
        return (total or 0) // 8

    def count(
        self, places: Sequence[BlockKey], which: Numbers, lows: Numbers, highs: Numbers
    ) -> Numbers:
        """Return how many numbers of each range are in its block, ``places[which]``; all in one search.

        A range lies in one block.
        """
        stored = self._side_by_side(places)
        lows = _placed(which, lows)
        if (lows & _IN_BLOCK == highs & _IN_BLOCK).all():
            return stored.contains(lows).astype(np.int64)
        return stored.count(lows, _placed(which, highs))

    def _side_by_side(self, places: Sequence[BlockKey]) -> IdRanges:
        """The blocks as if they lay one after the other."""
        blocks = [self.at(place) for place in places]
        owners = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
        lows, highs = (
            _placed(owners, np.concatenate(ends))
            for ends in zip(*((block.lows, block.highs) for block in blocks), strict=True)
        )
        return IdRanges(lows, highs)

    def at(self, place: BlockKey) -> IdRanges:
        """Return the numbers of a block."""
        known = self._recent.get(place)
        if known is None:
            known = self._stored(place)
            self._keep(place, known)
        else:
            self._recent.move_to_end(place)
        return known

    def write(self, new: Mapping[BlockKey, IdRanges]) -> dict[BlockKey, IdRanges]:
        """Add numbers to the database; return the blocks as they are once that is committed."""
        merged = {place: self.at(place).union(ranges) for place, ranges in new.items()}
        self._database.executemany(
            "insert or replace into ranges values (?, ?, ?, ?)",
            [
                (space, block, ranges.lows.tobytes(), ranges.highs.tobytes())
                for (space, block), ranges in merged.items()
            ],
        )
        return merged

    def committed(self, blocks: Mapping[BlockKey, IdRanges]) -> None:
        """Use what :meth:`write` returned, now that it is committed."""
        for place, ranges in blocks.items():
            self._keep(place, ranges)

    def clear(self) -> None:
        """Drop the blocks in memory, because the database was changed by other means."""
        self._recent.clear()

    def _stored(self, place: BlockKey) -> IdRanges:
        row = self._database.execute(
            "select lows, highs from ranges where space = ? and block = ?", place
        ).fetchone()
        if row is None:
            return IdRanges.empty()
        return IdRanges(np.frombuffer(row[0], np.int64), np.frombuffer(row[1], np.int64))

    def _keep(self, place: BlockKey, ranges: IdRanges) -> None:
        self._recent[place] = ranges
        self._recent.move_to_end(place)
        if len(self._recent) > _IN_MEMORY:
            self._recent.popitem(last=False)


def _placed(blocks: Numbers, numbers: Numbers) -> Numbers:
    """Numbers of several blocks, mapped as if the blocks lay one after the other."""
    placed: Numbers = (blocks << BLOCK_BITS) | (numbers & _IN_BLOCK)
    return placed

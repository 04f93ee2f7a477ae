"""Track which trades of a market are missing: holes in its numbering, noticed at the next trade."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MAX_HOLES = 10_000  # of one market; beyond, neighbours become one hole

OPEN, FINAL = "open", "final"


@dataclass
class Hole:
    """Numbers ``first`` to ``last`` that did not come; ``after_us`` is the time of the trade before.

    A ``final`` hole is one that the exchange no longer offers; ``reason`` says why. ``job`` is the
    durable job that fetches it, if one does.
    """

    first: int
    last: int
    after_us: int
    found_us: int
    state: str = OPEN
    reason: str = ""
    job: str = ""

    @property
    def size(self) -> int:
        """How many numbers are missing."""
        return self.last - self.first + 1


@dataclass
class MarketNumbers:
    """The numbers of one market that came: all up to ``newest`` but for the holes, which are sorted."""

    newest: int | None = None
    newest_us: int = 0
    holes: list[Hole] = field(default_factory=list)

    def take(self, first: int, last: int, event_us: int, now_us: int) -> Hole | None:
        """Note that ``first`` to ``last`` came; return the hole that this shows, if any.

        The very first numbers of a market show none: what was before them was never asked for.
        """
        found = None
        if self.newest is not None and first > self.newest + 1:
            found = Hole(self.newest + 1, first - 1, self.newest_us, now_us)
            self._add(found)
        elif self.holes and first <= self.holes[-1].last:
            self._fill(first, last)
        if self.newest is None or last > self.newest:
            self.newest, self.newest_us = last, event_us
        return found

    def expect(self, last: int, now_us: int) -> Hole | None:
        """Note that the exchange has numbers up to ``last``; return the hole that this shows."""
        if self.newest is None or last <= self.newest:
            return None
        found = Hole(self.newest + 1, last, self.newest_us, now_us)
        self._add(found)
        self.newest = last
        return found

    def reopen(self, first: int, last: int, after_us: int, now_us: int, reason: str) -> Hole:
        """Note that numbers that came were lost on their way to Kafka."""
        hole = Hole(first, last, after_us, now_us, reason=reason)
        self.add(hole)
        return hole

    def add(self, hole: Hole) -> None:
        """Take a hole in."""
        self._fill(hole.first, hole.last)  # never twice in two holes
        self.holes.append(hole)
        self.holes.sort(key=lambda other: other.first)
        if self.newest is None or hole.last > self.newest:
            self.newest = hole.last

    def settle(self, first: int, last: int, reason: str) -> None:
        """Note that what is still missing of a range will not be had."""
        within = [hole for hole in self.holes if hole.first <= last and hole.last >= first]
        self._fill(first, last)
        self.holes += [
            replace(
                hole,
                first=max(hole.first, first),
                last=min(hole.last, last),
                state=FINAL,
                reason=reason,
                job="",
            )
            for hole in within
        ]
        self.holes.sort(key=lambda hole: hole.first)

    def fill(self, first: int, last: int) -> None:
        """Note that numbers came by another way than :meth:`take`."""
        self._fill(first, last)

    def lacks(self, first: int, last: int) -> bool:
        """Tell whether any of these numbers is missing."""
        return any(hole.first <= last and hole.last >= first for hole in self.holes)

    def open_within(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the numbers of a range that are missing and may still come, as ranges."""
        return [
            (max(hole.first, first), min(hole.last, last))
            for hole in self.open_holes()
            if hole.first <= last and hole.last >= first
        ]

    def open_holes(self) -> list[Hole]:
        """Return the holes that may still be filled."""
        return [hole for hole in self.holes if hole.state == OPEN]

    def _add(self, hole: Hole) -> None:
        self.holes.append(hole)
        if len(self.holes) > MAX_HOLES:
            first, second, *rest = self.holes
            first.last, first.state, first.job = second.last, OPEN, ""
            self.holes = [first, *rest]

    def _fill(self, first: int, last: int) -> None:
        left: list[Hole] = []
        for hole in self.holes:
            if hole.last < first or hole.first > last:
                left.append(hole)
                continue
            if hole.first < first:
                left.append(_part(hole, hole.first, first - 1))
            if hole.last > last:
                left.append(_part(hole, last + 1, hole.last))
        self.holes = left

    def as_json(self) -> dict[str, Any]:
        """Return everything, to go on from after a restart."""
        return {
            "newest": self.newest,
            "newest_us": self.newest_us,
            "holes": [asdict(hole) for hole in self.holes],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "MarketNumbers":
        """Return what :meth:`as_json` gave."""
        holes = [Hole(**hole) for hole in content["holes"]]
        return cls(content["newest"], content["newest_us"], holes)


def ranges_without(
    covered: Iterable[tuple[int, int]], first: int, last: int
) -> Iterator[tuple[int, int]]:
    """Yield the ranges between two numbers that the ``covered`` ones, which are sorted, leave."""
    for begin, end in covered:
        if begin > first:
            yield first, min(begin - 1, last)
        first = max(first, end + 1)
    if first <= last:
        yield first, last


def _part(hole: Hole, first: int, last: int) -> Hole:
    return replace(hole, first=first, last=last)

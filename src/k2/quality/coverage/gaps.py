"""Gaps of a market: ranges of numbers, or of time, whose trades are not there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from k2.quality.coverage.states import Cause, GapState


@dataclass(frozen=True)
class Gap:
    """Numbers ``first_id`` to ``last_id`` that did not come; None where the exchange gives none.

    ``start`` and ``end`` are the times of the trades on its two sides.
    """

    first_id: int | None
    last_id: int | None
    start: datetime
    end: datetime
    cause: Cause = Cause.UNKNOWN
    state: GapState = GapState.OPEN
    reason: str = ""
    found_at: datetime | None = None

    @property
    def size(self) -> int:
        """How many numbers are missing; 0 where there are none to count."""
        if self.first_id is None or self.last_id is None:
            return 0
        return self.last_id - self.first_id + 1

    @property
    def is_open(self) -> bool:
        """Whether its trades are missing, and nobody accepted that."""
        return self.state is GapState.OPEN

    def as_row(self) -> dict[str, Any]:
        """Return it as ``ops_coverage`` has it."""
        return {
            "first_id": self.first_id,
            "last_id": self.last_id,
            "start": self.start,
            "end": self.end,
            "class": str(self.cause),
            "state": str(self.state),
            "reason": self.reason,
            "found_at": self.found_at,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Gap":
        """Return what :meth:`as_row` gave."""
        return cls(
            row["first_id"],
            row["last_id"],
            row["start"],
            row["end"],
            Cause(row["class"]),
            GapState(row["state"]),
            row["reason"] or "",
            row["found_at"],
        )


@dataclass(frozen=True)
class Acceptance:
    """A range of a market's numbers, or of its time, that somebody accepted as missing."""

    reason: str
    first_id: int | None = None
    last_id: int | None = None
    start: datetime | None = None
    end: datetime | None = None

    def covers(self, gap: Gap) -> bool:
        """Tell whether all of a gap is in the range."""
        if self.first_id is not None and self.last_id is not None:
            if gap.first_id is None or gap.last_id is None:
                return False
            return self.first_id <= gap.first_id and gap.last_id <= self.last_id
        if self.start is not None and self.end is not None:
            return self.start <= gap.start and gap.end <= self.end
        return False


def with_history(
    gap: Gap, before: Iterable[Gap], accepted: Iterable[Acceptance], now: datetime
) -> Gap:
    """Return a gap with what is known of it: since when, and whether it was accepted."""
    known = [old.found_at for old in before if _holds(old, gap) and old.found_at is not None]
    found_at = min(known, default=now)
    for acceptance in accepted:
        if acceptance.covers(gap):
            return replace(
                gap, state=GapState.ACCEPTED, reason=acceptance.reason, found_at=found_at
            )
    return replace(gap, found_at=found_at)


def repaired(before: Iterable[Gap], now_missing: Iterable[Gap]) -> list[Gap]:
    """Return what of earlier gaps is no longer missing, as repaired gaps."""
    missing = sorted(
        (gap.first_id, gap.last_id)
        for gap in now_missing
        if gap.first_id is not None and gap.last_id is not None
    )
    found: dict[tuple[int | None, int | None], Gap] = {}
    for old in before:
        for first, last in _subtract(old, missing):
            part = replace(
                old, first_id=first, last_id=last, state=GapState.REPAIRED, reason=old.reason
            )
            found.setdefault((first, last), part)
    return list(found.values())


def without(gap: Gap, present: Iterable[tuple[int, int]]) -> list[Gap]:
    """Return what of a gap is missing where some ranges of numbers are there after all."""
    ranges = sorted(present)
    return [replace(gap, first_id=f, last_id=last) for f, last in _subtract(gap, ranges)]


def _subtract(old: Gap, ranges: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    if old.first_id is None or old.last_id is None:
        return
    first = old.first_id
    for start, end in ranges:
        if end < first or start > old.last_id:
            continue
        if start > first:
            yield first, start - 1
        first = max(first, end + 1)
    if first <= old.last_id:
        yield first, old.last_id


def _holds(old: Gap, gap: Gap) -> bool:
    if old.state is GapState.REPAIRED:
        return False
    if old.first_id is None or old.last_id is None or gap.first_id is None or gap.last_id is None:
        return (
            old.first_id is None
            and gap.first_id is None
            and old.start <= gap.start
            and gap.end <= old.end
        )
    return old.first_id <= gap.first_id and gap.last_id <= old.last_id

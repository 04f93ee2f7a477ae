"""What an hour of a market shows by itself: counts, numbers, the gaps between them, silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from k2.quality.coverage.gaps import Gap


@dataclass(frozen=True)
class HourFacts:
    """One market's hour. ``gaps`` are those that end in it, but for one before its first number.

    ``follows`` is true where a trade shortly before the hour shows that nothing, or only a gap among
    ``gaps``, lies before the first number. ``missing`` counts all gaps, named or not.
    """

    symbol: str
    hour: datetime
    trades: int
    gold_trades: int
    late: int
    observed: int | None
    missing: int
    first_id: int | None
    last_id: int | None
    first_at: datetime
    last_at: datetime
    silence_seconds: float
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    follows: bool = False


def facts_of_row(
    row: Mapping[str, Any], hour: datetime, in_gold: Mapping[str, tuple[int, int]]
) -> HourFacts:
    """Return the facts of a measured row; ``in_gold`` has each market's trades and late ones in Gold."""
    gold, late = in_gold.get(row["symbol"], (0, 0))
    gaps = tuple(
        Gap(gap["first"], gap["last"], gap["start"], gap["end"]) for gap in row["gaps"] or ()
    )
    return HourFacts(
        symbol=row["symbol"],
        hour=hour,
        trades=row["trades"],
        gold_trades=gold,
        late=late,
        observed=row["observed"],
        missing=row["missing"] or 0,
        first_id=row["first_id"],
        last_id=row["last_id"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        silence_seconds=float(row["silence"]),
        gaps=gaps,
        gap_count=row["gap_count"] or 0,
        follows=bool(row["follows"]),
    )

"""Rows of the ledger added up by market, and their open gaps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from k2.quality.coverage.gaps import Gap
from k2.quality.coverage.states import Condition
from k2.quality.coverage.timeline import Row


@dataclass(frozen=True)
class MarketCoverage:
    """One market's hours together."""

    exchange: str
    symbol: str
    rows: Sequence[Row]
    open_gaps: int

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.exchange} {self.symbol or '(no market known)'}"

    @property
    def conditions(self) -> dict[Condition, int]:
        """How many hours are in which condition."""
        return {c: sum(row["condition"] == c for row in self.rows) for c in Condition}

    @property
    def is_odd(self) -> bool:
        """Whether any of its hours is degraded or missing."""
        counts = self.conditions
        return bool(counts[Condition.DEGRADED] or counts[Condition.MISSING])

    @property
    def trades(self) -> int:
        """How many trades there are."""
        return self._sum("trades")

    @property
    def missing(self) -> int:
        """How many trades are missing, by the numbers of the exchange."""
        return self._sum("missing")

    @property
    def duplicates(self) -> int:
        """How many further records of trades came."""
        return self._sum("duplicates")

    @property
    def dead_letters(self) -> int:
        """How many records were no trade."""
        return self._sum("dead_letters")

    @property
    def late(self) -> int:
        """How many trades came late."""
        return self._sum("late")

    @property
    def silence_seconds(self) -> float:
        """The longest time without a trade within an hour."""
        return max((float(row["silence_seconds"]) for row in self.rows), default=0.0)

    def _sum(self, name: str) -> int:
        return sum(int(row[name]) for row in self.rows)


def summarize(rows: Iterable[Row]) -> list[MarketCoverage]:
    """Return the markets of rows, in order."""
    by_market = itemgetter("exchange", "symbol")
    found = []
    for (exchange, symbol), group in groupby(sorted(rows, key=by_market), key=by_market):
        of_market = sorted(group, key=itemgetter("hour"))
        found.append(MarketCoverage(exchange, symbol, of_market, len(open_gaps(of_market))))
    return found


def open_gaps(rows: Iterable[Row]) -> list[tuple[Row, Gap]]:
    """Return the open gaps of rows, each once, oldest first, with the first row that names it."""
    found: dict[tuple[str, str, object, object], tuple[Row, Gap]] = {}
    for row in rows:
        for content in row["gaps"]:
            gap = Gap.from_row(content)
            if gap.is_open:
                key = row["exchange"], row["symbol"], gap.first_id, gap.start
                found.setdefault(key, (row, gap))
    return sorted(found.values(), key=lambda found: found[1].start)

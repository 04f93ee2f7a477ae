"""Facts about an exchange's instruments: what the name of a market means, and during which time.

A fact of the market ``asset`` maps an exchange's code of an asset to the standard code (``base``). K2 ships a
list for each exchange next to its definition; a home adds the lists that were loaded.
"""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path

import pyarrow as pa

from k2.errors import ConfigError

ASSET = "asset"
COLUMNS = ("market", "name", "base", "quote", "type", "expires", "asset_class", "from", "to")
FACTS = pa.schema([(column, pa.string()) for column in COLUMNS])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Fact:
    """What a name means. ``since`` and ``until`` are ISO times, UTC; empty: always.

    ``type`` is ``spot``, ``perpetual``, ``future``, or a kind that K2 does not take, such as ``option``.
    """

    market: str
    name: str
    base: str
    quote: str = ""
    type: str = ""
    expires: str = ""
    asset_class: str = ""
    since: str = ""
    until: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        """The values in the order of ``COLUMNS``."""
        names = (self.market, self.name, self.base, self.quote, self.type, self.expires)
        return (*names, self.asset_class, self.since, self.until)

    @property
    def key(self) -> tuple[str, str]:
        """What the fact is about."""
        return self.market, self.name

    @property
    def meaning(self) -> tuple[str, ...]:
        """What the fact says of it."""
        return self.base, self.quote, self.type, self.expires, self.asset_class


@dataclass(frozen=True)
class Instruments:
    """A list of facts, one row each, and its version: the hash of its content."""

    facts: pa.Table
    version: str = field(default="")

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> "Instruments":
        """Make a list of facts, sorted whatever order they come in."""
        rows = sorted(fact.row for fact in facts)
        columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
        table = pa.table([pa.array(column, pa.string()) for column in columns], schema=FACTS)
        digest = hashlib.sha256("\n".join("\t".join(row) for row in rows).encode("utf-8"))
        return cls(table, digest.hexdigest()[:16])

    def rows(self) -> list[Fact]:
        """Return the facts."""
        columns = (column.to_pylist() for column in self.facts.columns)
        return [Fact(*row) for row in zip(*columns, strict=True)]


@cache
def shipped_instruments(exchange: str) -> Instruments:
    """Return the list that K2 ships for an exchange; an empty one if it ships none."""
    path = _FOLDER / exchange / "instruments.csv"
    return Instruments.of(read_facts(path.read_text("utf-8"), path.name) if path.exists() else ())


def read_facts(text: str, source: str) -> list[Fact]:
    """Read K2's own form of a list: CSV with the columns of ``COLUMNS``.

    Raises:
        ConfigError: it is not one; says which line of ``source`` is wrong.
    """
    lines = csv.reader(StringIO(text))
    if tuple(next(lines, ())) != COLUMNS:
        raise ConfigError(f"{source} is no list of instruments: {','.join(COLUMNS)} wanted first.")
    facts = []
    for number, line in enumerate(lines, 2):
        if len(line) != len(COLUMNS) or not (line[0] and line[1]):
            raise ConfigError(
                f"{source}, line {number}: market, name and {len(COLUMNS)} columns wanted."
            )
        for moment in line[-2:]:
            _check_moment(moment, f"{source}, line {number}")
        facts.append(Fact(*line))
    return facts


def write_facts(facts: Sequence[Fact]) -> str:
    """Return a list in K2's own form."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(fact.row for fact in facts))
    return text.getvalue()


def with_newer(older: Iterable[Fact], newer: Iterable[Fact]) -> list[Fact]:
    """Return the facts of two lists; where both have a name, only the newer list's facts."""
    newer = list(newer)
    renewed = {fact.key for fact in newer}
    return [*(fact for fact in older if fact.key not in renewed), *newer]


def microseconds(moment: str) -> int | None:
    """Return an ISO time, UTC, as microseconds since 1970; None for none."""
    if not moment:
        return None
    return (_parse(moment) - _EPOCH) // timedelta(microseconds=1)


def _parse(moment: str) -> datetime:
    parsed = datetime.fromisoformat(moment)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _check_moment(moment: str, where: str) -> None:
    try:
        microseconds(moment)
    except ValueError as error:
        raise ConfigError(f"{where}: {moment!r} is no time, such as 2022-05-28.") from error

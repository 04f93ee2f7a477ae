"""Look up what a market's name means among the instruments, or split it where only one split is possible."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from k2.exchanges.exchange import Exchange
from k2.exchanges.instruments import ASSET, Fact, Instruments, microseconds
from k2.exchanges.names import FUTURE, PERPETUAL, SUPPORTED, Name

UNKNOWN, AMBIGUOUS, NOT_SUPPORTED = "symbol_unknown", "symbol_ambiguous", "instrument_not_supported"

_FIRST = -(2**63)  # before any time
_SUFFIX = {PERPETUAL: "-PERP", FUTURE: "-{}"}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means from ``since`` until before ``until``, microseconds since 1970; None: always.

    ``problem`` is the dead letter's reason where the name means no instrument that K2 knows.
    """

    symbol: str | None = None
    currency: str | None = None
    instrument_type: str | None = None
    asset_class: str | None = None
    problem: str | None = None
    since: int | None = None
    until: int | None = None


class MarketIndex:
    """An exchange's names by market, and the assets that can split a name that is not among them."""

    def __init__(self, exchange: Exchange, instruments: Instruments) -> None:
        self._exchange = exchange
        self._listed: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        self._assets: dict[str, list[Fact]] = defaultdict(list)
        self._symbols: dict[str, dict[str, list[str]]] = {}
        for fact in instruments.rows():
            if fact.market == ASSET:
                self._assets[fact.name].append(fact)
            else:
                self._listed[fact.key].append(fact)
        pairs = [
            fact for facts in self._listed.values() for fact in facts if fact.type in SUPPORTED
        ]
        self._quotes = {fact.quote for fact in pairs}
        self._codes = self._quotes | {fact.base for fact in pairs} | self._assets.keys()
        self._quote_lengths = sorted({len(quote) for quote in self._quotes})

    def meanings(self, name: str, market: str) -> list[Meaning]:
        """Return the meanings of a name, one for each time range."""
        if listed := self._listed.get((market, name)):
            in_time = sorted(listed, key=lambda fact: microseconds(fact.since) or _FIRST)
            return [meaning for fact in in_time for meaning in self._of_fact(fact)]
        read = self._exchange.read_name(name, market)
        if read is None:
            return [Meaning(problem=UNKNOWN)]
        if not read.is_supported:
            return [Meaning(problem=NOT_SUPPORTED)]
        if not read.joined:
            return list(self._named(read, "", None, None))
        splits = self._splits(read.joined)
        if len(splits) != 1:
            return [Meaning(problem=AMBIGUOUS if splits else UNKNOWN)]
        base, quote = splits[0]
        return list(self._named(replace(read, base=base, quote=quote), "", None, None))

    def is_listed(self, name: str, market: str) -> bool:
        """Tell whether the list has a name itself."""
        return (market, name) in self._listed

    def listed_symbols(self, market: str) -> dict[str, list[str]]:
        """Return, by symbol, the names that the list has of a market and that mean it now."""
        if market not in self._symbols:
            found: dict[str, list[str]] = defaultdict(list)
            for kind, name in self._listed:
                meaning = self.meanings(name, kind)[-1] if kind == market else Meaning()
                if meaning.symbol is not None and meaning.until is None:
                    found[meaning.symbol].append(name)
            self._symbols[market] = dict(found)
        return self._symbols[market]

    def _splits(self, joined: str) -> list[tuple[str, str]]:
        ends = ((joined[:-length], joined[-length:]) for length in self._quote_lengths)
        return [end for end in ends if end[0] in self._codes and end[1] in self._quotes]

    def _of_fact(self, fact: Fact) -> Iterator[Meaning]:
        since, until = microseconds(fact.since), microseconds(fact.until)
        if fact.type not in SUPPORTED:
            yield Meaning(problem=NOT_SUPPORTED, since=since, until=until)
            return
        name = Name(fact.base, fact.quote, "", fact.type, fact.expires or None)
        yield from self._named(name, fact.asset_class, since, until)

    def _named(
        self, name: Name, asset_class: str, since: int | None, until: int | None
    ) -> Iterator[Meaning]:
        """Name the instrument in standard codes, once for each time that these were others."""
        suffix = _SUFFIX.get(name.instrument_type, "").format(name.expires)
        for base in self._standard(name.base):
            for quote in self._standard(name.quote):
                first, end = _overlap((since, until), base, quote)
                if first is not None and end is not None and first >= end:
                    continue
                yield Meaning(
                    symbol=f"{base.code}-{quote.code}{suffix}",
                    currency=quote.code,
                    instrument_type=name.instrument_type,
                    asset_class=asset_class or base.asset_class,
                    since=first,
                    until=end,
                )

    def _standard(self, code: str) -> list["_Code"]:
        """The standard codes of an asset: before, between and after those that are listed it is itself."""
        own = self._exchange.asset_class(code)
        codes = []
        end: int | None = None
        is_open = False
        for fact in sorted(self._assets.get(code, ()), key=lambda fact: fact.since):
            since, until = microseconds(fact.since), microseconds(fact.until)
            if since is not None:
                codes.append(_Code(code, own, end, since))
            codes.append(_Code(fact.base, fact.asset_class or own, since, until))
            end, is_open = until, until is None
        return codes if is_open else [*codes, _Code(code, own, end, None)]


@dataclass(frozen=True, slots=True)
class _Code:
    code: str
    asset_class: str
    since: int | None
    until: int | None


def _overlap(whole: tuple[int | None, int | None], *codes: _Code) -> tuple[int | None, int | None]:
    firsts = [first for first in (whole[0], *(c.since for c in codes)) if first is not None]
    ends = [end for end in (whole[1], *(c.until for c in codes)) if end is not None]
    return max(firsts, default=None), min(ends, default=None)

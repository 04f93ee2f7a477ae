"""What a live service calls a symbol, looked up in the lists of instruments."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from k2.exchanges import exchange_named
from k2.exchanges.live import LiveService
from k2.exchanges.market_index import MarketIndex
from k2.exchanges.names import SPOT
from k2.home.instrument_lists import InstrumentLists

_PERPETUAL = "PERP"


@dataclass(frozen=True)
class MarketName:
    """An exchange's own name of a market, and whether a list of instruments has it."""

    name: str
    is_listed: bool


@dataclass
class MarketNames:
    """Finds names by symbols, and the other way round, in a home's lists."""

    lists: InstrumentLists
    _indexes: dict[str, tuple[str, MarketIndex]] = field(default_factory=dict)

    def of_symbol(self, service: LiveService, symbol: str) -> MarketName | None:
        """Return what a service calls ``BTC-USDT``, ``BTC-USDT-PERP`` or ``BTC-USDT-20260925``.

        A name that no list has is taken where its form says the same symbol. None: neither.
        """
        index = self.index(service.exchange)
        candidate = _candidate(service, symbol)
        listed = index.listed_symbols(service.market).get(symbol, [])
        if candidate in listed or (listed and candidate is None):
            return MarketName(candidate or listed[0], True)
        if listed:
            return MarketName(listed[0], True)
        if candidate is not None and self.symbol(service, candidate) == symbol:
            return MarketName(candidate, False)
        return None

    def of_name(self, service: LiveService, name: str) -> MarketName | None:
        """Return a market by the exchange's own name; None where it means no instrument of K2's."""
        if self.symbol(service, name) is None:
            return None
        return MarketName(name, self.index(service.exchange).is_listed(name, service.market))

    def symbol(self, service: LiveService, name: str) -> str | None:
        """Return the symbol that a name means now."""
        return self.index(service.exchange).meanings(name, service.market)[-1].symbol

    def symbols(self, services: Iterable[LiveService]) -> set[str]:
        """Return the symbols that the lists have of some services."""
        return {
            symbol
            for service in services
            for symbol in self.index(service.exchange).listed_symbols(service.market)
        }

    def index(self, exchange: str) -> MarketIndex:
        """Return the index of an exchange's list as it is now."""
        lists = self.lists.current(exchange)
        known = self._indexes.get(exchange)
        if known is None or known[0] != lists.version:
            known = lists.version, MarketIndex(exchange_named(exchange), lists)
            self._indexes[exchange] = known
        return known[1]


def _candidate(service: LiveService, symbol: str) -> str | None:
    """Build the name by the exchange's own rule, where the service has such a kind of market."""
    base, _, rest = symbol.partition("-")
    quote, _, term = rest.partition("-")
    if not base or not quote or (service.market == SPOT) != (not term):
        return None
    name = f"{base}{service.separator}{quote}"
    return name if term in ("", _PERPETUAL) else f"{name}_{term[2:]}"

"""The exchanges that K2 takes trades from, a folder each; docs/how-to/add-an-exchange.md adds one."""

from k2.errors import ConfigError, did_you_mean
from k2.exchanges.binance import BINANCE
from k2.exchanges.coinbase import COINBASE
from k2.exchanges.exchange import Condition, Exchange, Identity, Numbering
from k2.exchanges.kraken import KRAKEN

EXCHANGES: tuple[Exchange, ...] = (BINANCE, KRAKEN, COINBASE)

__all__ = ["EXCHANGES", "Condition", "Exchange", "Identity", "Numbering", "exchange_named"]


def exchange_named(name: str) -> Exchange:
    """Return the exchange of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    for exchange in EXCHANGES:
        if exchange.name == name:
            return exchange
    known = [exchange.name for exchange in EXCHANGES]
    guess = did_you_mean(name, known)
    raise ConfigError(f"Unknown exchange {name!r}.{guess} Known: {', '.join(known)}.")

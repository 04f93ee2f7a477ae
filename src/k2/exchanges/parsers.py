"""Which parser reads which exchange's messages."""

from k2.errors import ConfigError
from k2.exchanges.binance.messages import parse_binance
from k2.exchanges.coinbase.messages import parse_coinbase
from k2.exchanges.kraken.messages import parse_kraken
from k2.exchanges.parsing import Parser

PARSERS: dict[str, Parser] = {
    "binance": parse_binance,
    "kraken": parse_kraken,
    "coinbase": parse_coinbase,
}


def parser_of(exchange: str) -> Parser:
    """Return the parser of an exchange's messages.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return PARSERS[exchange]
    except KeyError:
        known = ", ".join(sorted(PARSERS))
        raise ConfigError(f"No parser for exchange {exchange!r}. Known: {known}.") from None

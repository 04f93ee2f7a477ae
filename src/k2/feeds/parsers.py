"""Which parser reads which exchange. A third exchange is its file and one line here."""

from k2.errors import ConfigError
from k2.feeds.binance import parse_binance
from k2.feeds.coinbase import parse_coinbase
from k2.feeds.kraken import parse_kraken
from k2.feeds.parsed import Parser

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

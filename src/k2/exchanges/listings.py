"""Read an exchange's own list of its markets: what each name means."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from k2.errors import ConfigError
from k2.exchanges.binance.listing import read_exchange_info
from k2.exchanges.coinbase.listing import read_products
from k2.exchanges.instruments import COLUMNS, Fact, read_facts
from k2.exchanges.kraken.listing import read_asset_pairs

# From the decoded document and the market that a user named, if any.
ListingReader = Callable[[Any, str | None], Iterable[Fact]]

LISTINGS: Mapping[str, ListingReader] = {
    "binance": read_exchange_info,
    "kraken": read_asset_pairs,
    "coinbase": read_products,
}
EXPECTED = {
    "binance": "exchangeInfo of spot, USD-M, COIN-M or options",
    "kraken": "AssetPairs",
    "coinbase": "products of Exchange or Advanced Trade",
}


def read_listing(content: bytes, exchange: str, source: str, market: str | None) -> list[Fact]:
    """Read an exchange's own list, or one in K2's own form.

    Args:
        content: the file.
        exchange: whose list it is.
        source: the file's name, for error messages.
        market: the market that its names are of, where the list does not say it.

    Raises:
        ConfigError: it is none of these.
    """
    if content.lstrip()[:1] not in (b"{", b"["):
        return read_facts(_text(content, source), source)
    if exchange not in LISTINGS:
        raise ConfigError(f"K2 reads no list of {exchange}'s; give it as CSV: {','.join(COLUMNS)}.")
    try:
        facts = list(LISTINGS[exchange](orjson.loads(content), market))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{source} is not {exchange}'s {EXPECTED[exchange]}: {type(error).__name__} {error}."
        ) from error
    if not facts:
        raise ConfigError(f"{source} lists no market of {exchange}.")
    return facts


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not UTF-8: {error}.") from error

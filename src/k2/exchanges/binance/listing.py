"""Binance's exchangeInfo: which assets a market's name joins, and what kind of instrument it is.

Source: the exchange's documents of exchangeInfo for spot, USD-M, COIN-M and options. Contracts of
USD-M count coins; those of COIN-M and options count contracts, which K2 does not take.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from k2.exchanges.binance.names import read_name
from k2.exchanges.instruments import Fact
from k2.exchanges.names import FUTURE, PERPETUAL, SPOT

_EQUITIES = frozenset({"EQUITY", "STOCK"})


def read_exchange_info(document: Any, market: str | None) -> Iterator[Fact]:
    """Read the markets of an exchangeInfo; which exchangeInfo it is each market says itself."""
    for listed in document.get("symbols", ()):
        yield _fact(listed, market or _market(listed))
    for listed in document.get("optionSymbols", ()):
        yield Fact("usdm", listed["symbol"], listed["underlying"], listed["quoteAsset"], "option")


def _market(listed: dict[str, Any]) -> str:
    if "contractType" not in listed:
        return "spot"
    return "coinm" if listed.get("marginAsset") == listed["baseAsset"] else "usdm"


def _fact(listed: dict[str, Any], market: str) -> Fact:
    name, base, quote = listed["symbol"], listed["baseAsset"], listed["quoteAsset"]
    if market == "spot":
        return Fact(market, name, base, quote, SPOT)
    if market == "coinm":
        return Fact(market, name, base, quote, "coin_margined")
    asset_class = "equity" if listed.get("underlyingType") in _EQUITIES else ""
    expires = _expires(listed)
    kind = FUTURE if expires else PERPETUAL
    return Fact(market, name, base, quote, kind, expires, asset_class)


def _expires(listed: dict[str, Any]) -> str:
    """The day of a dated contract, as its name says it; of a perpetual none."""
    if "PERPETUAL" in (listed.get("contractType") or ""):
        return ""
    read = read_name(listed["symbol"], "usdm")
    if read is not None and read.expires:
        return read.expires
    delivery = listed.get("deliveryDate")
    if not listed.get("contractType") or not isinstance(delivery, int):
        return ""
    return f"{datetime.fromtimestamp(delivery / 1000, UTC):%Y%m%d}"

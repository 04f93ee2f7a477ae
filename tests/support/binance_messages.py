"""Binance's messages in the documented shapes."""

from tests.fixtures.crypto_fixtures import Record

T0 = 1_788_000_000_000  # milliseconds: 2026-08-29 10:40 UTC


def spot_trade(number: int, price: str = "10", size: str = "1", **changes: object) -> Record:
    """A ``trade`` of spot."""
    fixed = {"e": "trade", "E": T0 + 1, "s": "BTCUSDT", "T": T0, "m": False, "M": True}
    return fixed | {"t": number, "p": price, "q": size} | changes


def aggregate(
    number: int, first: int, last: int, price: str = "10", size: str = "1", **changes: object
) -> Record:
    """An ``aggTrade`` of spot."""
    fixed = {"e": "aggTrade", "E": T0 + 1, "s": "BTCUSDT", "T": T0, "m": False, "M": True}
    return fixed | {"a": number, "f": first, "l": last, "p": price, "q": size} | changes


def contract_trade(
    number: int, price: str = "10", size: str = "1", kind: str = "MARKET", **changes: object
) -> Record:
    """A ``trade`` of a USD-M contract."""
    fixed = {"e": "trade", "E": T0 + 1, "s": "BTCUSDT", "T": T0, "m": False}
    return fixed | {"t": number, "p": price, "q": size, "X": kind} | changes


def contract_aggregate(
    number: int, first: int, last: int, price: str = "10", size: str = "1", **changes: object
) -> Record:
    """An ``aggTrade`` of a USD-M contract."""
    message = aggregate(number, first, last, price, size, **changes)
    return {name: value for name, value in message.items() if name != "M"}

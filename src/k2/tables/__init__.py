"""Every table that K2 stores."""

from collections.abc import Iterable

from k2.exchanges import EXCHANGES, Exchange
from k2.tables.bronze import bronze_trades
from k2.tables.gold import GOLD_TRADES
from k2.tables.ohlcv import BARS, GOLD_OHLCV, TIMEFRAMES
from k2.tables.resolutions import resolutions
from k2.tables.silver import dead_letters, duplicates, silver_trades
from k2.tables.table import Layer, Table

__all__ = [
    "BARS",
    "GOLD_OHLCV",
    "GOLD_TRADES",
    "TIMEFRAMES",
    "Layer",
    "Table",
    "all_tables",
    "bronze_trades",
    "dead_letters",
    "duplicates",
    "resolutions",
    "silver_trades",
]


def all_tables(exchanges: Iterable[Exchange] = EXCHANGES) -> list[Table]:
    """Every table, from Bronze to Gold."""
    of_each = [
        table(exchange)
        for exchange in exchanges
        for table in (bronze_trades, silver_trades, dead_letters, duplicates, resolutions)
    ]
    return [*of_each, GOLD_TRADES, GOLD_OHLCV]

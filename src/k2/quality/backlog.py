"""How far each step is behind the one before it, in rows, from the tables' logs alone."""

from collections.abc import Iterable
from pathlib import Path

from deltalake import DeltaTable

from k2.bars.table import BARS, GOLD_OHLCV, TIMEFRAMES
from k2.bronze.table import bronze_trades
from k2.connectors.kafka import published
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.delta import open_table, row_count
from k2.storage.scan import scan
from k2.storage.table import Layer, Table


def rows(lake: Path, *tables: Table) -> int:
    """Return the records that some tables hold together; one that does not exist has none.

    A bar holds its trades: those of the longest bars are all there are.
    """
    stored = ((table, open_table(lake, table)) for table in tables)
    return sum(_rows(table, opened) for table, opened in stored if opened is not None)


def backlog(lake: Path, exchanges: Iterable[Exchange], kafka: str) -> dict[str, int]:
    """Return for each layer, and the bars, the rows that it has still to take.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    exchanges = tuple(exchanges)
    # Downstream before upstream: what arrives meanwhile shows as a backlog, never as less than none.
    barred = rows(lake, GOLD_OHLCV)
    gold = rows(lake, GOLD_TRADES)
    trades = rows(lake, *map(silver_trades, exchanges))
    aside = rows(lake, *map(dead_letters, exchanges), *map(duplicates, exchanges))
    # A resolved dead letter is in Silver or a duplicate, and stays in its table as history.
    aside -= rows(lake, *map(resolutions, exchanges))
    bronze = rows(lake, *map(bronze_trades, exchanges))
    sent = sum(published(kafka, exchange.topic) for exchange in exchanges)
    return {
        Layer.BRONZE: sent - bronze,
        Layer.SILVER: bronze - trades - aside,
        Layer.GOLD: trades - gold,
        BARS: gold - barred,
    }


def _rows(table: Table, stored: DeltaTable) -> int:
    if table is not GOLD_OHLCV:
        return row_count(stored)
    longest = [("timeframe", "=", max(TIMEFRAMES, key=lambda name: TIMEFRAMES[name]))]
    return sum(scan(stored, ["trade_count"], longest).table()["trade_count"].to_pylist())

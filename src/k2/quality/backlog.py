"""Count how many rows each layer is behind the one before it, from the tables' logs alone.

Bars hold no row a trade: how far they are, their stream's checkpoint says.
"""

from collections.abc import Iterable

from k2.bars.table import BARS, BARS_APP, GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.bronze.topic_progress import unread_records
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.checkpoints.consumers import rows_read
from k2.storage.delta import record_count
from k2.storage.table import Layer, Table


def rows(settings: Settings, *tables: Table) -> int:
    """Return the records that some tables hold together; one that does not exist has none.

    The bars hold those of Gold that their stream has read.
    """
    return sum(_rows(settings, table) for table in tables)


def backlog(settings: Settings, exchanges: Iterable[Exchange], kafka: str) -> dict[str, int]:
    """Return for each layer, and the bars, the rows that it has still to take.

    For Bronze they are offsets, of which some may turn out to hold no record.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    exchanges = tuple(exchanges)
    # Downstream before upstream: what arrives meanwhile shows as a backlog, never as less than none.
    barred = rows(settings, GOLD_OHLCV)
    gold = rows(settings, GOLD_TRADES)
    trades = rows(settings, *map(silver_trades, exchanges))
    aside = rows(settings, *map(dead_letters, exchanges), *map(duplicates, exchanges))
    # A resolved dead letter is in Silver or a duplicate, and stays in its table as history.
    aside -= rows(settings, *map(resolutions, exchanges))
    bronze = rows(settings, *map(bronze_trades, exchanges))
    unread = sum(unread_records(settings, exchange, kafka) for exchange in exchanges)
    return {
        Layer.BRONZE: unread,
        Layer.SILVER: bronze - trades - aside,
        Layer.GOLD: trades - gold,
        BARS: gold - barred,
    }


def _rows(settings: Settings, table: Table) -> int:
    if table is GOLD_OHLCV:
        return rows_read(settings.lake, GOLD_TRADES, settings.checkpoint(BARS_APP))
    return record_count(settings.lake, table)

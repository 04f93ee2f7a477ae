"""How far each step is behind the one before it, in rows, from the tables' logs alone."""

from collections.abc import Iterable
from pathlib import Path

from k2.exchanges import Exchange
from k2.io.delta import open_table, row_count
from k2.io.kafka import watermarks
from k2.tables import (
    GOLD_TRADES,
    Layer,
    Table,
    bronze_trades,
    dead_letters,
    duplicates,
    resolutions,
    silver_trades,
)


def rows(lake: Path, *tables: Table) -> int:
    """Return the rows of some tables together; one that does not exist has none."""
    stored = (open_table(lake, table) for table in tables)
    return sum(row_count(table) for table in stored if table is not None)


def backlog(lake: Path, exchanges: Iterable[Exchange], kafka: str) -> dict[Layer, int]:
    """Return for each layer the rows that it has still to take.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    exchanges = tuple(exchanges)
    # Downstream before upstream: what arrives meanwhile shows as a backlog, never as less than none.
    gold = rows(lake, GOLD_TRADES)
    trades = rows(lake, *map(silver_trades, exchanges))
    aside = rows(lake, *map(dead_letters, exchanges), *map(duplicates, exchanges))
    # A resolved dead letter is in Silver or a duplicate, and stays in its table as history.
    aside -= rows(lake, *map(resolutions, exchanges))
    bronze = rows(lake, *map(bronze_trades, exchanges))
    published = sum(
        after for exchange in exchanges for _, after in watermarks(kafka, exchange.topic).values()
    )
    return {
        Layer.BRONZE: published - bronze,
        Layer.SILVER: bronze - trades - aside,
        Layer.GOLD: trades - gold,
    }

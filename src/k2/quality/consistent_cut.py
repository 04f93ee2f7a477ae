"""A consistent cut through an exchange's tables while streams run: which rows must be there, and which may not be yet.

Each step is looked at before the one that it reads, and how far a stream is before what it has written.
So a record that a table has is in all tables before it, and one that a stream has committed is in all
tables after it. What a stream has not committed is in flight: it may be there already, or not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.bronze.topic_progress import bronze_checkpoint
from k2.exchanges import Exchange
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.checkpoints.kafka_offsets import ReadRanges, committed_ranges
from k2.storage.checkpoints.unread import files_added, unread_from
from k2.storage.delta import open_table, table_path
from k2.storage.scan import scan
from k2.storage.table import Layer, Table


@dataclass(frozen=True)
class Cut:
    """One exchange's data files, by what they hold; ``read`` is what Bronze has committed."""

    exchange: Exchange
    read: ReadRanges | None = None
    files: Mapping[str, list[str]] = field(default_factory=dict)


def take_cuts(settings: Settings, exchanges: Iterable[Exchange]) -> list[Cut]:
    """Look at the tables of some exchanges, Gold first and Bronze last."""
    exchanges = tuple(exchanges)
    unread = {exchange.name: unread_by_gold(settings, exchange) for exchange in exchanges}
    gold = _files(open_table(settings.lake, GOLD_TRADES))
    return [_take_cut(settings, exchange, gold, unread[exchange.name]) for exchange in exchanges]


def _take_cut(
    settings: Settings, exchange: Exchange, gold: list[str], gold_unread: int | None
) -> Cut:
    lake = settings.lake
    silver_unread = unread_by_silver(settings, exchange)
    resolved = _files(open_table(lake, resolutions(exchange)))
    silver = open_table(lake, silver_trades(exchange))
    dead = _files(open_table(lake, dead_letters(exchange)))
    double = _files(open_table(lake, duplicates(exchange)))
    read = committed_ranges(bronze_checkpoint(settings, exchange), exchange.topic)
    bronze = open_table(lake, bronze_trades(exchange))
    has_judged = bool(_files(silver) or dead or double)
    files = {
        "gold": gold,
        "resolved": resolved,
        "silver": _files(silver),
        "dead_letters": dead,
        "duplicates": double,
        "bronze": _files(bronze),
        "bronze_in_flight": files_in_flight(
            lake, bronze_trades(exchange), bronze, silver_unread, has_judged
        ),
        "silver_in_flight": files_in_flight(
            lake, silver_trades(exchange), silver, gold_unread, bool(gold)
        ),
    }
    return Cut(exchange, read, files)


def unread_by_silver(settings: Settings, exchange: Exchange) -> int | None:
    """Return from which version of Bronze on Silver has committed nothing (:func:`unread_from`)."""
    bronze = open_table(settings.lake, bronze_trades(exchange))
    return unread_from(settings.checkpoint(f"{Layer.SILVER}-{exchange.name}/v1"), _id_of(bronze))


def unread_by_gold(settings: Settings, exchange: Exchange) -> int | None:
    """Return from which version of an exchange's Silver on Gold has committed nothing."""
    silver = open_table(settings.lake, silver_trades(exchange))
    return unread_from(settings.checkpoint(f"{Layer.GOLD}/v1"), _id_of(silver))


def files_in_flight(
    lake: Path, table: Table, stored: DeltaTable | None, unread: int | None, has_begun: bool
) -> list[str]:
    """Return the files of ``stored`` whose rows the next stream has not committed.

    A stream that has written without a checkpoint is no stream of this home's: all must be there.
    """
    if stored is None or (unread is None and has_begun):
        return []
    if not unread:
        return _files(stored)
    added = files_added(table_path(lake, table), unread, stored.version())
    # A log that no longer has what is unread: a stream could not go on from it either.
    return [file.path for file in added or ()]


def _files(stored: DeltaTable | None) -> list[str]:
    return [] if stored is None else list(scan(stored, ["partition", "offset"]).files)


def _id_of(stored: DeltaTable | None) -> str:
    return "" if stored is None else str(stored.metadata().id)

"""Which streams and tables there are, in order: the only place that names them all."""

from collections.abc import Iterable
from pathlib import Path

from k2.avro.schema_files import schema_text
from k2.bars.processor import ohlcv_stream
from k2.bars.table import GOLD_OHLCV
from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.connectors.schema_cache import cache_folder
from k2.connectors.schema_registry import SchemaRegistry
from k2.engine.chain import chained
from k2.engine.stream import Stream
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, Exchange
from k2.gold.processor import gold_stream
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.silver.processor import silver_stream
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.table import Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.spark import SparkWriter
from k2.storage.writers.writer import TableWriter


def all_streams(
    settings: Settings,
    kafka: str,
    registry: str,
    master: str,
    exchanges: Iterable[Exchange] = EXCHANGES,
    together: bool = False,
) -> list[Stream]:
    """Return every stream, from Bronze to Gold and its bars.

    ``kafka`` are bootstrap servers, ``registry`` is a URL, ``master`` the Spark master they run on.
    Of streams that one engine runs ``together`` Bronze hands its batches on (:mod:`k2.engine.chain`),
    where they come to the driver anyway and the settings do not say no.
    """
    exchanges = tuple(exchanges)
    writer = table_writer(settings, master)
    schemas = SchemaRegistry(registry, schema_cache(settings, registry))
    readers = [schema_text(exchange.reader_schema) for exchange in exchanges]
    bronze = [bronze_stream(exchange, settings, writer, kafka) for exchange in exchanges]
    silver = [
        silver_stream(exchange, settings, writer, schemas, reader)
        for exchange, reader in zip(exchanges, readers, strict=True)
    ]
    gold = gold_stream(exchanges, settings, writer)
    bars = ohlcv_stream(settings, writer)
    streams = [*bronze, *silver, gold, bars]
    if not isinstance(writer, ArrowWriter):
        return streams  # Delta itself shortens the logs of Spark's writer
    writer.retention = LogRetention(
        settings.kept_versions, consumers_of(streams, settings), settings.history_minutes * 60
    )
    if together and settings.chain_streams:
        return chained(bronze, silver, gold, bars, settings, writer, schemas, readers)
    return streams


def all_tables(exchanges: Iterable[Exchange] = EXCHANGES) -> list[Table]:
    """Every table, from Bronze to Gold."""
    of_each = [
        table(exchange)
        for exchange in exchanges
        for table in (bronze_trades, silver_trades, dead_letters, duplicates, resolutions)
    ]
    return [*of_each, GOLD_TRADES, GOLD_OHLCV]


def consumers_of(streams: Iterable[Stream], settings: Settings) -> dict[str, list[Path]]:
    """Return the checkpoints of the streams that read a table, by its name."""
    readers: dict[str, list[Path]] = {}
    for stream in streams:
        for table in stream.reads:
            readers.setdefault(table.name, []).append(stream.checkpoint(settings))
    return readers


def stream_named(streams: Iterable[Stream], name: str) -> Stream:
    """Return a stream by its name, such as ``silver-kraken``, ``gold`` or ``ohlcv``.

    Raises:
        ConfigError: there is no such stream; says which there are.
    """
    by_name = {stream.name: stream for stream in streams}
    if name not in by_name:
        raise ConfigError(f"There is no stream {name}; there are {', '.join(by_name)}.")
    return by_name[name]


def table_writer(settings: Settings, master: str) -> TableWriter:
    """Return the writer that the settings name; by itself Arrow's where Spark is one process."""
    chosen = settings.table_writer
    if chosen == "arrow" or (chosen == "auto" and master.startswith("local")):
        return ArrowWriter(settings.lake)
    return SparkWriter(settings.lake)


def schema_cache(settings: Settings, registry: str) -> Path:
    """Return the folder of the schemas that a registry has told; the local stack's is the home's own.

    That one has another port at each start.
    """
    folder = settings.home / "registry-cache"
    is_local = not settings.registry or registry != settings.registry
    return folder if is_local else cache_folder(folder, registry)

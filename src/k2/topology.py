"""Which streams and tables there are, in order: the only place that names them all."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from k2.avro.schema_files import schema_text
from k2.bars.processor import bars_stream
from k2.bars.table import BARS, GOLD_OHLCV
from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.connectors.committed_reader import CommittedReader
from k2.connectors.schema_cache import cache_folder
from k2.connectors.schema_registry import SchemaRegistry
from k2.engine.batch_buffer import BatchBuffer
from k2.engine.chain import Chain
from k2.engine.chained_stream import ChainedStream
from k2.engine.stream import Stream
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, Exchange
from k2.feeds.sessions.table import OPS_FEED_SESSIONS
from k2.gold.processor import gold_stream
from k2.gold.table import GOLD_TRADES
from k2.quality.coverage.table import OPS_COVERAGE, OPS_COVERAGE_ACCEPTED
from k2.quality.recent_balance import RecentBalance
from k2.quality.results import OPS_QUALITY_RESULTS
from k2.settings import Settings
from k2.silver.processor import silver_stream
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.table import Layer, Table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TableWriter

_OLDEST = 2  # exchanges whose ports were given before there were others
_NOBODY = ""
_BARS_PLACE = 20


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
    Streams that one engine runs ``together`` are chained (:mod:`k2.engine.chain`), where their writer
    has the batches on the driver anyway and the settings do not say no.
    """
    exchanges = tuple(exchanges)
    writer = table_writer(settings, master)
    schemas = SchemaRegistry(registry, schema_cache(settings, registry))
    bronze = [bronze_stream(exchange, settings, writer, kafka) for exchange in exchanges]
    silver = [
        silver_stream(exchange, settings, writer, schemas, schema_text(exchange.reader_schema))
        for exchange in exchanges
    ]
    checks = [
        RecentBalance(settings, exchange, partial(_committed_offsets, kafka))
        for exchange in exchanges
    ]
    gold = gold_stream(exchanges, settings, writer, checks)
    bars = bars_stream(settings, writer)
    streams = [*bronze, *silver, gold, bars]
    consumers = consumers_of(streams, settings)
    writer.trim_logs(LogRetention(settings.kept_versions, consumers, settings.history_minutes * 60))
    if together and settings.chain_streams and writer.runs_on_driver:
        streams = chain_streams(bronze, silver, gold, bars, settings)
    offsets = port_offsets(exchanges)
    return [replace(stream, port_offset=offsets[stream.name]) for stream in streams]


def chain_streams(
    bronze: Sequence[Stream],
    silver: Sequence[Stream],
    gold: Stream,
    bars: Stream,
    settings: Settings,
) -> list[Stream]:
    """Return the streams as ones that one engine must run together, each chained to the one before.

    ``bronze`` and ``silver`` are of the same exchanges. Names, tables and checkpoints stay: streams that
    run one by one go on from any batch, and back.
    """
    silver = [replace(stream, chained=ChainedStream.of(stream, settings)) for stream in silver]
    gold = replace(gold, chained=(gold_link := ChainedStream.of(gold, settings)))
    bars_link = ChainedStream.of(bars, settings)
    if bars.reduction is None:
        raise ValueError(f"stream {bars.name} has no reduction to buffer")
    seconds = settings.trigger_seconds * bars.triggers
    buffer = BatchBuffer(bars_link, gold.tables[0], bars.reduction, seconds)
    bars_link.discard_buffered = buffer.discard
    bars = replace(bars, chained=bars_link, buffer=buffer)
    heads = [
        replace(
            head,
            chain=Chain(head.tables[0], head.writer, [next_.chained, gold_link], buffer),
        )
        for head, next_ in zip(bronze, silver, strict=True)
        if next_.chained is not None
    ]
    return [*heads, *silver, gold, bars]


def all_tables(exchanges: Iterable[Exchange] = EXCHANGES) -> list[Table]:
    """Every table, from Bronze to Gold."""
    of_each = [
        table(exchange)
        for exchange in exchanges
        for table in (bronze_trades, silver_trades, dead_letters, duplicates, resolutions)
    ]
    return [
        *of_each,
        GOLD_TRADES,
        GOLD_OHLCV,
        OPS_QUALITY_RESULTS,
        OPS_COVERAGE,
        OPS_COVERAGE_ACCEPTED,
        OPS_FEED_SESSIONS,
    ]


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
    from k2.storage.writers.spark import SparkWriter  # with PySpark, which most commands do without

    return SparkWriter(settings.lake)


def schema_cache(settings: Settings, registry: str) -> Path:
    """Return the folder of the schemas that a registry has told; the local stack's is the home's own.

    That one has another port at each start.
    """
    folder = settings.home / "registry-cache"
    is_local = not settings.registry or registry != settings.registry
    return folder if is_local else cache_folder(folder, registry)


def stream_names(exchanges: Iterable[Exchange] = EXCHANGES) -> list[str]:
    """Return the names of all streams, from Bronze to Gold and its bars."""
    pairs = [(layer, exchange) for layer in (Layer.BRONZE, Layer.SILVER) for exchange in exchanges]
    return [*(f"{layer}-{exchange.name}" for layer, exchange in pairs), str(Layer.GOLD), BARS]


def port_offsets(exchanges: Iterable[Exchange] = EXCHANGES) -> dict[str, int]:
    """Return by how much each stream's metrics port is after the first.

    Bronze and Silver of the first two exchanges, Gold, one that is free, then Bronze and Silver of each
    further exchange: one more moves nobody's port. The bars are 20 after the first.
    """
    names = [exchange.name for exchange in exchanges]
    pair = (Layer.BRONZE, Layer.SILVER)
    oldest = [f"{layer}-{name}" for layer in pair for name in names[:_OLDEST]]
    further = [f"{layer}-{name}" for name in names[_OLDEST:] for layer in pair]
    row = [*oldest, str(Layer.GOLD), _NOBODY, *further]
    return {name: place for place, name in enumerate(row) if name != _NOBODY} | {BARS: _BARS_PLACE}


def port_of(stream: str, first: int, exchanges: Iterable[Exchange] = EXCHANGES) -> int:
    """Return a stream's metrics port, ``first`` being that of the first; 0 stays 0."""
    return first + port_offsets(exchanges)[stream] if first else 0


def _committed_offsets(
    kafka: str, topic: str, partition: int, first: int, end: int
) -> Iterable[int]:
    return CommittedReader(kafka).committed_offsets(topic, partition, first, end)

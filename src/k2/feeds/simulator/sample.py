"""Sample recordings: simulated messages of one exchange in a file, as a recorder would have kept them."""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from k2.exchanges import EXCHANGES, Exchange
from k2.feeds.simulator.messages import message_of
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from k2.home.atomic_files import written_whole


def write_sample(simulation: Simulation, exchange: Exchange, count: int, path: Path) -> int:
    """Write messages of one exchange, one a line, plain or as .gz or .zst; return how many.

    All trades are of that exchange, and none is bad: a record's defects are of its bytes in Kafka.

    Raises:
        ConfigError: the file cannot be written.
    """
    with written_whole(path) as draft, _opened(draft, path.suffix) as file:
        for message in islice(_messages(simulation, exchange), count):
            file.write(message + b"\n")
    return count


def _messages(simulation: Simulation, exchange: Exchange) -> Iterator[bytes]:
    alone = replace(
        simulation,
        bad=0.0,
        # Binance has the rest.
        kraken_share=float(exchange.name == "kraken"),
        coinbase_share=float(exchange.name == "coinbase"),
    )
    # What goes to Kafka as Avro is the message itself here; all else of the simulation is the same.
    encoders = {
        schema: partial(message_of, each.name) for each in EXCHANGES for schema in each.raw_schemas
    }
    feed = SimulatedFeed(alone, encoders, Progress())
    for block in feed.blocks():
        for record in block:
            yield cast(bytes, record.value)


@contextmanager
def _opened(path: Path, suffix: str) -> Iterator[BinaryIO]:
    with ExitStack() as opened:
        file: BinaryIO = opened.enter_context(path.open("wb"))
        if suffix == ".gz":
            # No time and no name: the same trades are the same file.
            packed = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
            file = cast(BinaryIO, opened.enter_context(packed))
        elif suffix == ".zst":
            file = opened.enter_context(zstandard.ZstdCompressor().stream_writer(file))
        yield file

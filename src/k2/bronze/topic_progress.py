"""How far Bronze has read an exchange's topic, and how much is unread."""

from collections.abc import Mapping
from pathlib import Path

from k2.connectors.kafka import watermarks
from k2.exchanges import Exchange
from k2.settings import Settings
from k2.storage.checkpoints.kafka_offsets import ReadRanges, committed_ranges
from k2.storage.table import Layer

VERSION = 1  # of the streams: it names their checkpoints

Watermarks = Mapping[int, tuple[int, int]]  # partition → first offset there is, next one to come


def bronze_checkpoint(settings: Settings, exchange: Exchange) -> Path:
    """Return the checkpoint folder of an exchange's Bronze stream."""
    return settings.checkpoint(f"{Layer.BRONZE}-{exchange.name}/v{VERSION}")


def unread_records(settings: Settings, exchange: Exchange, bootstrap: str) -> int:
    """Return how many offsets a topic has that Bronze has not read.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    # Before Kafka's end, which only grows.
    read = committed_ranges(bronze_checkpoint(settings, exchange), exchange.topic)
    return unread_up_to(watermarks(bootstrap, exchange.topic), read)


def unread_up_to(marks: Watermarks, read: ReadRanges | None) -> int:
    """Return how many offsets below ``marks`` are not read.

    Records that Kafka had deleted before Bronze's first batch do not count. Offsets without a record, such
    as those of transaction markers, count until Bronze has passed them.
    """
    known = read or {}
    return sum(
        max(end - (known[partition][1] if partition in known else low), 0)
        for partition, (low, end) in marks.items()
    )

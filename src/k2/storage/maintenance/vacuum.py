"""Upkeep of stored tables: which partitions are closed, and which files nothing needs."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from pathlib import Path

from deltalake import DeltaTable
from pyspark.sql.types import DateType

from k2.storage.checkpoints.consumers import first_unread
from k2.storage.delta import folder_of
from k2.storage.delta_log import actions_of, commit_file
from k2.storage.maintenance.compaction import Partition, small_files
from k2.storage.table import Table

LEAST_RETENTION = timedelta(days=7)


@dataclass(frozen=True)
class Files:
    """Files that a table's newest version consists of."""

    files: int
    bytes: int


def files_of(stored: DeltaTable) -> Files:
    """Count a table's files, from its log."""
    adds = stored.get_add_actions(flatten=True)
    return Files(len(adds["path"]), sum(adds["size_bytes"].to_pylist()))


def closed_partitions(
    stored: DeltaTable, table: Table, now: datetime, lateness: timedelta
) -> list[Partition]:
    """Return the partitions of several small files whose day or hour ended over ``lateness`` ago."""
    counts = Counter(file.partition for file in small_files(stored))
    return [
        partition
        for partition, count in sorted(counts.items())
        if count > 1 and _end(table, partition) + lateness <= now
    ]


def retention(stored: DeltaTable, consumers: Iterable[Path], now: datetime) -> timedelta | None:
    """Return for how long removed files must stay; None when nothing may go.

    That is 7 days, or the longest lag of the streams that read the table, whichever is longer.
    ``consumers`` are those streams' checkpoints; one that has not read the table needs all of it.
    """
    longest = LEAST_RETENTION
    for checkpoint in consumers:
        version = first_unread(checkpoint, str(stored.metadata().id))
        since = None if version is None else _first_news(stored, version)
        if since is None:
            return None
        # An hour more: a log file's time is when it was written, not when its commit began.
        longest = max(longest, now - since + timedelta(hours=1))
    return longest


def vacuum(stored: DeltaTable, kept: timedelta, dry_run: bool) -> int:
    """Delete files that no version within ``kept`` needs; return how many."""
    hours = ceil(max(kept, LEAST_RETENTION) / timedelta(hours=1))
    return len(stored.vacuum(retention_hours=hours, dry_run=dry_run, full=True))


def _end(table: Table, partition: Partition) -> datetime:
    day, hour = None, None
    for name, value in partition:
        if isinstance(table.schema[name].dataType, DateType):
            day = date.fromisoformat(value)
        elif name.endswith("_hour"):
            hour = int(value)
    if day is None:
        return datetime.max.replace(tzinfo=UTC) - timedelta(days=1)  # never closed
    start = datetime.combine(day, time(hour or 0), UTC)
    return start + (timedelta(days=1) if hour is None else timedelta(hours=1))


def _first_news(stored: DeltaTable, version: int) -> datetime | None:
    """When the first version from ``version`` on that holds new rows was written; the far future
    when there is none, and None when the log no longer says.
    """
    table = folder_of(stored)
    for number in range(version, stored.version() + 1):
        entries = actions_of(table, number)
        if entries is None:
            return None
        if any(entry.get("add", {}).get("dataChange") for entry in entries):
            return datetime.fromtimestamp(commit_file(table, number).stat().st_mtime, UTC)
    return datetime.max.replace(tzinfo=UTC)

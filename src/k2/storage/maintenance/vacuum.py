"""Count a stored table's files, and find its closed partitions."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa
from deltalake import DeltaTable

from k2.storage.checkpoints.unread_files import ALL_READ
from k2.storage.maintenance.compaction import (
    Partition,
    StoredFile,
    small_files,
    worth_compacting,
)
from k2.storage.table import Table


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
    stored: DeltaTable,
    table: Table,
    now: datetime,
    lateness: timedelta,
    before: int = ALL_READ,
) -> list[Partition]:
    """Return the partitions with files worth compacting whose day or hour ended over ``lateness`` ago.

    Files that were not written ``before`` (ms since 1970) do not count.
    """
    files: dict[Partition, list[StoredFile]] = {}
    for file in small_files(stored, before=before):
        files.setdefault(file.partition, []).append(file)
    return [
        partition
        for partition, there in sorted(files.items())
        if _end(table, partition) + lateness <= now and worth_compacting(there)
    ]


def _end(table: Table, partition: Partition) -> datetime:
    day, hour = None, None
    for name, value in partition:
        if pa.types.is_date(table.schema.field(name).type):
            day = date.fromisoformat(value)
        elif name.endswith("_hour"):
            hour = int(value)
    if day is None:
        return datetime.max.replace(tzinfo=UTC) - timedelta(days=1)  # never closed
    start = datetime.combine(day, time(hour or 0), UTC)
    return start + (timedelta(days=1) if hour is None else timedelta(hours=1))

"""Compaction and retention of one stream's tables, a partition at a time between its batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from k2.engine.stream import Stream
from k2.settings import Settings
from k2.silver.dead_letters.replay import ExclusiveSection
from k2.storage.delta import open_table
from k2.storage.maintenance.compaction import Partition, compact, write_compacted
from k2.storage.maintenance.vacuum import closed_partitions, files_of, retention, vacuum
from k2.storage.table import Table


def maintain(
    stream: Stream,
    settings: Settings,
    exclusive_section: ExclusiveSection,
    should_continue: Callable[[], bool],
    consumers: Mapping[str, Sequence[str]],
    dry_run: bool = False,
) -> dict[str, Any] | None:
    """Look after each table that the stream writes; None when ``should_continue`` said no before the end.

    ``consumers`` names, by table, the checkpoints of the streams that read it. Partitions are
    compacted once they are closed: a day or an hour that ended longer ago than trades may be late.
    """
    found: dict[str, Any] = {}
    for table in (*stream.tables, *stream.audit_tables):
        checkpoints = [Path(path) for path in consumers.get(table.name, ())]
        facts = _maintain(table, settings, exclusive_section, should_continue, checkpoints, dry_run)
        if facts is None:
            return None
        found |= {table.name: facts} if facts else {}
    return found


def _maintain(
    table: Table,
    settings: Settings,
    exclusive_section: ExclusiveSection,
    should_continue: Callable[[], bool],
    consumers: list[Path],
    dry_run: bool,
) -> dict[str, Any] | None:
    stored = open_table(settings.lake, table)
    if stored is None:
        return {}
    before, now = files_of(stored), datetime.now(UTC)
    lateness = timedelta(minutes=settings.lateness_minutes)
    closed = closed_partitions(stored, table, now, lateness)
    for partition in () if dry_run else closed:
        if not should_continue():
            return None
        _compact(stored, table, partition, exclusive_section)
    with exclusive_section():
        stored.update_incremental()
        kept = retention(stored, consumers, datetime.now(UTC))
        deleted = 0 if kept is None else vacuum(stored, kept, dry_run)
        stored.update_incremental()
    return {
        "before": asdict(before),
        "after": asdict(files_of(stored)),
        "partitions_compacted": len(closed),
        "retention_hours": None if kept is None else kept // timedelta(hours=1),
        "files_deleted": deleted,
    }


def _compact(
    stored: DeltaTable, table: Table, partition: Partition, exclusive_section: ExclusiveSection
) -> None:
    """Pack beside the stream's batches, and commit between two of them."""
    stored.update_incremental()
    packed = write_compacted(stored, table, partition)
    with exclusive_section():
        if packed is not None and not packed.commit(stored):
            # The stream has merged files of the partition meanwhile: now it cannot.
            compact(stored, table, partition)

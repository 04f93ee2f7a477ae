"""Compaction and retention of one stream's tables, a partition at a time between its batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from k2.engine.stream import Stream
from k2.engine.table_requests import ExclusiveSection
from k2.settings import Settings
from k2.storage.delta import keep_properties, open_table
from k2.storage.maintenance.compaction import Partition, compact, write_compacted
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.maintenance.replaced_files import remove_replaced_files
from k2.storage.maintenance.vacuum import closed_partitions, files_of
from k2.storage.table import Table


def maintain(
    stream: Stream,
    settings: Settings,
    exclusive_section: ExclusiveSection,
    should_continue: Callable[[], bool],
    consumers: Mapping[str, Sequence[str]],
    dry_run: bool = False,
) -> dict[str, Any] | None:
    """Maintain each table that the stream writes; None when ``should_continue`` said no before the end.

    ``consumers`` names, by table, the checkpoints of the streams that read it. Partitions are
    compacted once they are closed: a day or an hour that ended longer ago than trades may be late. What a
    stream has not read is neither compacted nor cleaned up.
    """
    paths = {table: [Path(path) for path in given] for table, given in consumers.items()}
    retention = LogRetention(settings.kept_versions, paths, settings.history_minutes * 60)
    found: dict[str, Any] = {}
    for table in (*stream.tables, *stream.audit_tables):
        facts = _maintain(table, settings, exclusive_section, should_continue, retention, dry_run)
        if facts is None:
            return None
        found |= {table.name: facts} if facts else {}
    return found


def _maintain(
    table: Table,
    settings: Settings,
    exclusive_section: ExclusiveSection,
    should_continue: Callable[[], bool],
    retention: LogRetention,
    dry_run: bool,
) -> dict[str, Any] | None:
    stored = open_table(settings.lake, table)
    if stored is None:
        return {}
    before, now = files_of(stored), datetime.now(UTC)
    lateness = timedelta(minutes=settings.lateness_minutes)
    read_before = retention.unread_since(stored, table)
    closed = closed_partitions(stored, table, now, lateness, read_before)
    for partition in () if dry_run else closed:
        _compact(stored, table, partition, exclusive_section, read_before, should_continue)
        if not should_continue():
            return None
    if not dry_run:
        with exclusive_section():
            stored.update_incremental()
            keep_properties(stored, table, settings.history_minutes)
            retention.trim_log(stored, table)
    # No batch waits for it: what no version refers to is nobody's.
    deleted = remove_replaced_files(stored, retention.seconds, dry_run)
    return {
        "before": asdict(before),
        "after": asdict(files_of(stored)),
        "partitions_compacted": len(closed),
        "retention_hours": settings.history_minutes / 60,
        "files_deleted": deleted,
    }


def _compact(
    stored: DeltaTable,
    table: Table,
    partition: Partition,
    exclusive_section: ExclusiveSection,
    before: int,
    should_continue: Callable[[], bool],
) -> None:
    """Write the compacted files beside the stream's batches, and commit them between two batches."""
    stored.update_incremental()
    packed = write_compacted(stored, table, partition, before, should_continue)
    with exclusive_section():
        if packed is not None and not packed.commit(stored):
            # The stream has merged files of the partition meanwhile: now it cannot.
            compact(stored, table, partition, before)

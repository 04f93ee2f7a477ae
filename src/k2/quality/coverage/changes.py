"""Which hours of the tables have changed, by the files that were written since a time."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from k2.quality.coverage.timeline import hours_between
from k2.settings import Settings
from k2.storage.delta import open_table
from k2.storage.scan import data_files
from k2.storage.table import Table


def changed_hours(
    settings: Settings, tables: Sequence[Table], column: str, since: datetime
) -> set[datetime]:
    """Return the hours, by a column of times, that files hold which were written after ``since``.

    The log alone is read. What a compaction only moved is among them.
    """
    return {hour for table in tables for hour in _of_table(settings, table, column, since)}


def _of_table(settings: Settings, table: Table, column: str, since: datetime) -> set[datetime]:
    stored = open_table(settings.lake, table)
    if stored is None:
        return set()
    files = data_files(stored)
    written = files["modification_time"].cast(pa.int64())
    fresh = files.filter(pc.greater(written, int(since.timestamp() * 1000)))
    if f"min.{column}" not in fresh.column_names:
        return set()
    hours: set[datetime] = set()
    for first, last in set(
        zip(*(fresh[f"{end}.{column}"].to_pylist() for end in ("min", "max")), strict=True)
    ):
        if first is not None and last is not None:
            hours |= set(hours_between(_utc(first), _utc(last)))
    return hours


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

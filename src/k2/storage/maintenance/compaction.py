"""Compact a closed partition: rewrite its small files as large ones, sorted by market.

Trades of one market next to each other have similar prices and consecutive ids, so that they take a fifth less
space. Stored files never change: only the commit needs exclusive access to the table, not the work before it.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from k2.errors import FailedError
from k2.storage.checkpoints.unread_files import ALL_READ
from k2.storage.delta import folder_of
from k2.storage.exact_types import rebuilt
from k2.storage.maintenance.large_files import write_files
from k2.storage.parquet_encoding import COMPACT
from k2.storage.scan import data_files, scan
from k2.storage.table import Table

Partition = tuple[tuple[str, str], ...]  # column and value

_SCRATCH = "_packing"  # readers of the table and vacuum pass over names like this
_LARGE_ENOUGH = 64 * 1024 * 1024  # a file of this size stays as it is
# So does one that is so many times as large as all smaller ones: late trades come to an hour for hours, and
# would have all of it written again each time.
_TIMES_AS_LARGE = 4
# Rows; some 350 MB meanwhile. Of 500,000 files are 3 % smaller, for 900 MB.
_SORTED_AT_ONCE = 150_000


@dataclass(frozen=True)
class StoredFile:
    """A file of a table: its path below the table's folder, and what the log says of it."""

    written_at: int  # ms since 1970
    path: str
    bytes: int
    rows: int
    partition: Partition


@dataclass(frozen=True)
class CompactionPlan:
    """The large files that were written, and the small files that they are to replace."""

    table: Table
    written: list[AddAction]
    replaced: list[StoredFile]

    def commit(self, stored: DeltaTable) -> bool:
        """Replace the small files by the large ones; False when one of the small files is gone.

        The commit says ``dataChange=false``: a stream that reads the table does not see it. Whoever
        calls holds the table and keeps its stream's batches out.
        """
        stored.update_incremental()
        if not set(self.replaced) <= set(small_files(stored)):
            for add in self.written:
                (folder_of(stored) / unquote(add.path)).unlink()
            return False
        now = int(time.time() * 1000)
        removed = [
            RemoveAction(file.path, False, now, file.bytes, dict(file.partition))
            for file in self.replaced
        ]
        stored.create_write_transaction(
            [*self.written, *removed],
            mode="append",
            schema=stored.schema(),
            partition_by=list(self.table.partitioned_by),
            commit_properties=CommitProperties(max_commit_retries=0),
        )
        stored.update_incremental()
        return True


def compact(stored: DeltaTable, table: Table, partition: Partition, before: int = ALL_READ) -> None:
    """Compact a partition; the caller has exclusive access to the table. ``before`` is that of
    :func:`write_compacted`."""
    packed = write_compacted(stored, table, partition, before)
    if packed is not None:
        packed.commit(stored)


def small_files(
    stored: DeltaTable, below_bytes: int | None = None, before: int = ALL_READ
) -> list[StoredFile]:
    """Return the files that could be compacted, oldest first: small ones, written ``before`` (ms since 1970)."""
    actions = pa.table(stored.get_add_actions(flatten=True))
    is_small = pc.less(actions["size_bytes"], below_bytes or _LARGE_ENOUGH)
    is_read = pc.less(actions["modification_time"].cast(pa.int64()), before)
    adds = actions.filter(pc.and_(is_small, is_read)).to_pylist()
    names = stored.metadata().partition_columns
    files = (
        StoredFile(
            written_at=add["modification_time"],
            path=add["path"],
            bytes=add["size_bytes"],
            rows=add["num_records"],
            partition=tuple((name, str(add[f"partition.{name}"])) for name in names),
        )
        for add in adds
    )
    return sorted(files, key=lambda file: (file.written_at, file.path))


def worth_compacting(files: Iterable[StoredFile]) -> list[StoredFile]:
    """Return those of a partition's files that are to become one, in their order; fewer than two are none."""
    found = list(files)
    chosen, size = set[str](), 0
    for file in sorted(found, key=lambda file: file.bytes):
        if chosen and file.bytes > _TIMES_AS_LARGE * size:
            break
        chosen.add(file.path)
        size += file.bytes
    return [file for file in found if file.path in chosen] if len(chosen) > 1 else []


def write_compacted(
    stored: DeltaTable,
    table: Table,
    partition: Partition,
    before: int = ALL_READ,
    should_continue: Callable[[], bool] = lambda: True,
) -> CompactionPlan | None:
    """Write a partition's large files, sorted.

    Files that were not written ``before`` (ms since 1970) stay: a stream has not read them, and no engine may
    remove them as replaced. The large files are not part of the table until they are committed; if they never
    are, maintenance deletes them.

    Returns:
        None when the partition has no files that are worth it, or ``should_continue`` said no meanwhile.
    """
    small = small_files(stored, before=before)
    files = worth_compacting(file for file in small if file.partition == partition)
    try:
        return write_together(stored, table, files, COMPACT, table.sorted_by, should_continue)
    except Exception:
        if should_continue():
            raise
        return None


def write_together(
    stored: DeltaTable,
    table: Table,
    replaced: list[StoredFile],
    level: int,
    order: Sequence[str] = (),
    should_continue: Callable[[], bool] = lambda: True,
) -> CompactionPlan | None:
    """Write the rows of some files to one file for each partition; None for fewer than two files.

    Args:
        stored: the table, at the version that the files are of.
        table: its definition.
        replaced: the files.
        level: of compression.
        order: columns to sort by.
        should_continue: called from time to time; when it says no, an exception for the caller is raised.
    """
    if len(replaced) < 2:
        return None
    folder = folder_of(stored)
    scratch = folder / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
    try:
        rows = _sorted(_read(stored, table, replaced), table, order, should_continue)
        written = write_files(table, rows, scratch, level)
        before = sum(file.rows for file in replaced)
        after = sum(orjson.loads(add.stats)["numRecords"] for add in written)
        if before != after:
            raise FailedError(f"Table {table.name}: of {before} rows {after} would be packed.")
        for add in written:
            path = unquote(add.path)
            (scratch / path).rename(folder / path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return CompactionPlan(table, written, replaced)


def _sorted(
    parts: Iterable[pa.RecordBatch],
    table: Table,
    order: Sequence[str],
    should_continue: Callable[[], bool],
) -> Iterator[pa.Table]:
    """The rows in chunks, each chunk sorted."""
    keys = [(name, "ascending") for name in order]
    for rows in _portions(parts):
        if not should_continue():
            raise InterruptedError
        part = rebuilt(rows, table)
        yield part.sort_by(keys) if keys else part


def _portions(parts: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    for part in parts:
        gathered.append(part)
        if sum(some.num_rows for some in gathered) >= _SORTED_AT_ONCE:
            yield pa.Table.from_batches(gathered)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)


def _read(stored: DeltaTable, table: Table, files: list[StoredFile]) -> Iterator[pa.RecordBatch]:
    """The files' rows, in their order."""
    # Planned before the first row is taken: delta-rs cannot be asked while it writes.
    there = data_files(stored)
    places = pc.index_in(pa.array([file.path for file in files]), there["path"].combine_chunks())
    return scan(stored, table.columns, files=there.take(places)).batches()

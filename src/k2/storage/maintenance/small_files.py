"""Maintain a table after some commits rather than after each one: merge small files, write log checkpoints.

With delta-rs's own maintenance (1.6.6) each commit lists the whole log several times to find old entries, which
takes 12 milliseconds for every thousand commits before it. Each commit also costs five microseconds for every
file of the table, and a stream adds files with every batch.
"""

from itertools import groupby
from operator import attrgetter
from zlib import crc32

from deltalake import DeltaTable

from k2.storage.checkpoints.unread_files import ALL_READ
from k2.storage.delta import CHECKPOINT_INTERVAL
from k2.storage.maintenance.compaction import StoredFile, small_files, write_together
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.parquet_encoding import QUICK
from k2.storage.table import Table

# Files are counted as often as this, each table at commits of its own: a batch waits for one at most.
_LOOK_EVERY = 16
# What is merged half full is merged again, so many files wait for it: of 770 commits of 800 trades
# merging is 14 ms a commit after 32 files, 8 after 64, 5 after 128. But a batch waits
# meanwhile, and of 128 files of a fast feed, 50 MB, for 14 s: so bytes count too.
_MERGE_FILES = 128
_MERGE_BYTES = 4 * 1024 * 1024
_LARGE_ENOUGH = 1024 * 1024


def merge_small_files(
    stored: DeltaTable, table: Table, retention: LogRetention | None = None
) -> None:
    """Merge small files when it is time, in a commit that says that no data changed.

    Only files that every stream has read are merged: any engine may soon remove the replaced ones.
    """
    if (stored.version() + crc32(table.name.encode())) % _LOOK_EVERY:
        return
    before = ALL_READ if retention is None else retention.unread_since(stored, table)
    files = _mergeable(small_files(stored, _LARGE_ENOUGH, before))
    if len(files) >= _MERGE_FILES or sum(file.bytes for file in files) >= _MERGE_BYTES:
        merged = write_together(stored, table, files, QUICK, table.grouped_by)
        if merged is not None:
            merged.commit(stored)


def _mergeable(files: list[StoredFile]) -> list[StoredFile]:
    """The small files that are not alone in their partition, oldest first."""
    partition = attrgetter("partition")
    groups = (list(of_one) for _, of_one in groupby(sorted(files, key=partition), partition))
    return [file for group in groups if len(group) > 1 for file in group]


def keep_log(stored: DeltaTable, table: Table, retention: LogRetention | None) -> None:
    """Write the log's checkpoint when it is due, and remove entries that nobody needs."""
    if stored.version() % CHECKPOINT_INTERVAL == 0:
        stored.create_checkpoint()
        if retention is not None:
            retention.trim_log(stored, table)

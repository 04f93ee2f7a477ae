"""What a table needs after a commit, now and then instead of each time.

Left to delta-rs (1.6.6), each commit lists the whole log several times in search of old entries: 12
milliseconds for every thousand commits before it. And each costs five microseconds for every file
that the table has, of which a stream leaves some with every batch.
"""

from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties

from k2.storage.delta import CHECKPOINT_INTERVAL
from k2.storage.maintenance.log_cleanup import LogRetention
from k2.storage.parquet_encoding import QUICK, layout
from k2.storage.table import Table

# For write_deltalake: what is below does it.
NOTHING_ELSE = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

# Files are counted as often as this, each table at commits of its own: a batch waits for one at most.
_LOOK_EVERY = 16
# What is merged half full is merged again, so many files wait for it: of 770 commits of 800 trades
# merging is 14 ms a commit after 32 files, 8 after 64, 5 after 128. But a batch waits
# meanwhile, and of 128 files of a fast feed, 50 MB, for 14 s: so bytes count too.
_MERGE_FILES = 128
_MERGE_BYTES = 4 * 1024 * 1024
_LARGE_ENOUGH = 1024 * 1024


def merge_small_files(stored: DeltaTable, table: Table) -> None:
    """Merge small files when it is time, in a commit that says that no data changed."""
    if (stored.version() + crc32(table.name.encode())) % _LOOK_EVERY:
        return
    files, size = _mergeable(stored)
    if files >= _MERGE_FILES or size >= _MERGE_BYTES:
        stored.optimize.compact(
            target_size=_LARGE_ENOUGH,
            max_concurrent_tasks=1,
            writer_properties=layout(table, QUICK),
            # Nobody else may commit here, so a conflict is a failure, not a retry.
            commit_properties=CommitProperties(max_commit_retries=0),
            post_commithook_properties=NOTHING_ELSE,
        )


def _mergeable(stored: DeltaTable) -> tuple[int, int]:
    """Number and bytes of the small files that have others beside them in their partition."""
    adds = pa.table(stored.get_add_actions(flatten=True))
    small = adds.filter(pc.less(adds["size_bytes"], _LARGE_ENOUGH))
    partition = [f"partition.{name}" for name in stored.metadata().partition_columns]
    counted = small.group_by(partition).aggregate([("size_bytes", "count"), ("size_bytes", "sum")])
    several = counted.filter(pc.greater(counted["size_bytes_count"], 1))
    return _sum(several["size_bytes_count"]), _sum(several["size_bytes_sum"])


def _sum(numbers: pa.ChunkedArray) -> int:
    return pc.sum(numbers).as_py() or 0


def keep_log(stored: DeltaTable, table: Table, retention: LogRetention | None) -> None:
    """Write the log's checkpoint when it is time, and remove entries that nobody needs."""
    if stored.version() % CHECKPOINT_INTERVAL == 0:
        stored.create_checkpoint()
        if retention is not None:
            retention.trim_log(stored, table)

"""What a table needs after a commit, now and then instead of each time.

Left to delta-rs (1.6.6), each commit lists the whole log several times in search of old entries: 12
milliseconds for every thousand commits before it. And each costs five microseconds for every file
that the table has, of which a stream leaves some with every batch.
"""

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties

from k2.io.delta import CHECKPOINT_INTERVAL
from k2.io.parquet_layout import QUICK, layout
from k2.tables import Table

# For write_deltalake: keep_up does it.
NOTHING_ELSE = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

# Many commits, because what is merged half full is merged again: of 770 commits of 800 trades merging
# is 14 ms a commit at every 32nd, 8 at 64, 5 at 128. Few enough that no commit has many files to carry.
_MERGE_EVERY = 128
_LARGE_ENOUGH = 1024 * 1024


def merge_small_files(stored: DeltaTable, table: Table) -> None:
    """Merge small files when it is time, in a commit that says that no data changed."""
    if stored.version() % _MERGE_EVERY == 0:
        stored.optimize.compact(
            target_size=_LARGE_ENOUGH,
            max_concurrent_tasks=1,
            writer_properties=layout(table, QUICK),
            # Nobody else may commit here, so a conflict is a failure, not a retry.
            commit_properties=CommitProperties(max_commit_retries=0),
            post_commithook_properties=NOTHING_ELSE,
        )


def keep_log(stored: DeltaTable) -> None:
    """Write the log's checkpoint when it is time, and remove entries beyond their retention."""
    if stored.version() % CHECKPOINT_INTERVAL == 0:
        stored.create_checkpoint()
        stored.cleanup_metadata()

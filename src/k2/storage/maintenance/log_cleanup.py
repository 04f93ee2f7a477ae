"""How much of a table's log stays.

A commit of delta-rs (1.6.6) lists the log twice, a microsecond an entry each time, so a log must not grow
without end: a fast feed commits every second, and after a day each commit took 0.2 s more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from k2.storage.checkpoints.consumers import first_unread
from k2.storage.delta import CHECKPOINT_INTERVAL, folder_of
from k2.storage.delta_log import commit_file, log_folder
from k2.storage.table import Table

# So that a log that has grown long becomes shorter bit by bit, beside its stream.
_AT_ONCE = 20 * CHECKPOINT_INTERVAL
_CHECKPOINT = "{:020}.checkpoint.parquet"
# A version's files. Spark's local files have checksums of their own. The commit is the last to go: it
# says that there may be others.
_FILES = (
    _CHECKPOINT,
    ".{:020}.checkpoint.parquet.crc",
    "{:020}.crc",
    ".{:020}.crc.crc",
    ".{:020}.json.crc",
    "{:020}.json",
)


@dataclass(frozen=True)
class LogRetention:
    """What stays: the newest ``versions``, and all that a stream has not read.

    ``consumers`` are, by a table's name, the checkpoints of the streams that read it.
    """

    versions: int
    consumers: Mapping[str, Sequence[Path]]

    def trim_log(self, stored: DeltaTable, table: Table) -> None:
        """Remove entries that nobody needs, the oldest first.

        What stays begins with a checkpoint of the log, as the Delta protocol asks ("Metadata Cleanup").
        """
        needed = stored.version() - self.versions
        for checkpoint in self.consumers.get(table.name, ()):
            unread = first_unread(checkpoint, str(stored.metadata().id))
            if unread is None:
                return
            # A stream that goes on asks for the version before, too.
            needed = min(needed, unread - 1)
        folder = folder_of(stored)
        oldest = _oldest(folder, stored.version())
        end = _checkpoint_before(folder, needed, oldest)
        for version in range(oldest, min(end, oldest + _AT_ONCE)):
            for name in _FILES:
                (log_folder(folder) / name.format(version)).unlink(missing_ok=True)


def _oldest(folder: Path, newest: int) -> int:
    """The oldest commit in the log, which has all from there to ``newest``."""
    low, high = 0, newest
    while low < high:
        middle = (low + high) // 2
        if commit_file(folder, middle).exists():
            high = middle
        else:
            low = middle + 1
    return low


def _checkpoint_before(folder: Path, version: int, oldest: int) -> int:
    """The newest checkpoint that ``version`` can be read from; ``oldest`` when there is none."""
    newest = version - version % CHECKPOINT_INTERVAL
    for found in range(newest, oldest, -CHECKPOINT_INTERVAL):
        if (log_folder(folder) / _CHECKPOINT.format(found)).exists():
            return found
    return oldest

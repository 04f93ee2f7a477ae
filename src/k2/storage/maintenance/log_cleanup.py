"""Trim a table's log, which limits how far back the table's history goes.

A commit of delta-rs (1.6.6) lists the log twice, a microsecond an entry each time, so a log must not grow
without end: a fast feed commits every second, and after a day each commit took 0.2 s more.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from k2.storage.checkpoints.consumers import first_unread
from k2.storage.checkpoints.unread_files import ALL_READ, has_begun, unread_since
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
    """What stays in a log: the newest ``versions``, those of the last ``seconds``, and all that a stream has not read.

    ``consumers`` are, by a table's name, the checkpoints of the streams that read it. A stream that has
    not begun needs no old version: it will read the table as it is when it begins.
    """

    versions: int
    consumers: Mapping[str, Sequence[Path]]
    seconds: float = 0.0

    def trim_log(self, stored: DeltaTable, table: Table) -> None:
        """Remove entries that nobody needs, the oldest first.

        The remaining log begins with a checkpoint, as the Delta protocol requires ("Metadata Cleanup").
        """
        folder, newest = folder_of(stored), stored.version()
        needed = newest - self.versions
        for checkpoint in filter(has_begun, self.consumers.get(table.name, ())):
            unread = first_unread(checkpoint, str(stored.metadata().id))
            if unread is None:
                return
            # A stream that goes on asks for the version before, too.
            needed = min(needed, unread - 1)
        oldest = find_oldest(folder, newest)
        needed = min(needed, _last_before(folder, time.time() - self.seconds, oldest, newest))
        end = _checkpoint_before(folder, needed, oldest)
        for version in range(oldest, min(end, oldest + _AT_ONCE)):
            for name in _FILES:
                (log_folder(folder) / name.format(version)).unlink(missing_ok=True)

    def unread_since(self, stored: DeltaTable, table: Table) -> int:
        """Return from when on files may be unread: :func:`~k2.storage.checkpoints.unread_files.unread_since`."""
        consumers = self.consumers.get(table.name, ())
        if not consumers:
            return ALL_READ
        return unread_since(
            consumers, folder_of(stored), str(stored.metadata().id), stored.version()
        )


def find_oldest(folder: Path, newest: int) -> int:
    """Return the oldest commit from which the log is complete up to ``newest``."""
    return _bisect(0, newest, lambda version: commit_file(folder, version).exists())


def versions_kept(folder: Path, newest: int) -> Iterator[int]:
    """Return the versions whose commits are in the log, the oldest first."""
    return iter(range(find_oldest(folder, newest), newest + 1))


def _last_before(folder: Path, when: float, oldest: int, newest: int) -> int:
    """The last version that was written before ``when``; the one before ``oldest`` if none was."""

    def is_younger(version: int) -> bool:
        try:
            return commit_file(folder, version).stat().st_mtime >= when
        except FileNotFoundError:
            return True

    return _bisect(oldest, newest + 1, is_younger) - 1


def _bisect(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number for which a condition holds, if it holds for all later ones too; ``high`` if it never does."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
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

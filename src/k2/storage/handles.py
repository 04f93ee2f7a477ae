"""Keep tables open between commits, and open them again after some commits.

Opening takes milliseconds, so a writer keeps its tables open. But each commit that a handle of delta-rs (1.6.6)
follows makes every later one half a millisecond slower, without end. Checking for updates through delta-rs lists
the whole log; testing whether the next commit file exists is equivalent and cheap.
"""

from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from k2.storage.delta_log import commit_file

# Measured over 100 to 1,000 files: fewer pay more for opening, more for the old handle.
MAX_COMMITS = 12
# For who looks about once a second, where some milliseconds now and then do not matter.
MAX_COMMITS_OF_A_WATCHER = 100


@dataclass
class TableHandle:
    """One stored table, by its folder.

    It is opened again after it has followed ``max_commits`` commits; a caller that asks rarely may allow more.
    """

    path: Path
    max_commits: int = MAX_COMMITS
    _stored: DeltaTable | None = None
    _since: int = 0  # version when it was opened

    def latest(self) -> DeltaTable:
        """Return the table as it is now."""
        if self._stored is None or self._is_old(self._stored):
            self._stored = DeltaTable(self.path)
            self._since = self._stored.version()
        elif self._has_news(self._stored):
            self._stored.update_incremental()
        return self._stored

    def discard(self) -> None:
        """Close the table; the next call of :meth:`latest` opens it again."""
        self._stored = None

    def _is_old(self, stored: DeltaTable) -> bool:
        # Where the log has been shortened beyond it, the next entry is not there either.
        was_left_behind = not commit_file(self.path, stored.version()).exists()
        return was_left_behind or stored.version() - self._since >= self.max_commits

    def _has_news(self, stored: DeltaTable) -> bool:
        return commit_file(self.path, stored.version() + 1).exists()

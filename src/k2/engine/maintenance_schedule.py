"""Scheduled maintenance: of the tables of the streams that run here, and of the log files.

Without it a service that nobody attends for weeks would keep every replaced file.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k2.engine.table_requests import MAINTAIN, Request
from k2.home.log_files import limit_logs
from k2.settings import Settings

MAINTENANCE_SECONDS = 300.0


@dataclass
class MaintenanceSchedule:
    """Decides which stream's tables are maintained next, one stream at a time.

    ``readers`` are, by a table's name, the checkpoints of all streams that read it, wherever they run. The
    time of a stream's last maintenance is noted in the home, so that jobs which run for a minute now and
    then maintain their tables, too.
    """

    settings: Settings
    readers: Mapping[str, Sequence[Path]]
    seconds: float = MAINTENANCE_SECONDS
    _begun: float = field(default_factory=time.time)

    def next_request(self, streams: Sequence[str]) -> Request | None:
        """Return the request for the tables of the stream that has waited longest; None if none is due."""
        last = {stream: self._last(stream) for stream in streams}
        longest = min(last, key=lambda stream: last[stream], default=None)
        if longest is None or time.time() - last[longest] < self.seconds:
            return None
        self._note(longest)
        limit_logs(self.settings.logs)
        readers = {table: [str(path) for path in paths] for table, paths in self.readers.items()}
        return Request(MAINTAIN, longest, {"readers": readers, "dry_run": False})

    def _last(self, stream: str) -> float:
        """When a stream's tables were maintained last, in seconds since 1970; before the first time, when this run began."""
        try:
            noted = self._path(stream).stat().st_mtime
        except FileNotFoundError:
            return self._begun
        return min(noted, time.time())  # the clock may have been set back

    def _note(self, stream: str) -> None:
        self._path(stream).parent.mkdir(parents=True, exist_ok=True)
        self._path(stream).touch()

    def _path(self, stream: str) -> Path:
        return self.settings.run / "maintenance" / stream

"""The newest value of a column of times, from a table's newest commits alone: cheap at every scrape."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from k2.storage.delta_log import actions_of, newest_version

_MOST_COMMITS = 20  # that are looked at, at most: what came meanwhile


@dataclass
class NewestTime:
    """Remembers the newest time that a table's commits told of; keep it between questions."""

    table: Path
    column: str
    _newest: float = 0.0
    _seen: int = -1

    def seconds(self) -> float:
        """Return the newest time, in seconds since 1970; 0 where no commit told of any."""
        newest = newest_version(self.table)
        for version in range(max(self._seen + 1, newest - _MOST_COMMITS + 1), newest + 1):
            for action in actions_of(self.table, version) or ():
                add = action.get("add")
                if add is not None and add.get("stats"):
                    self._take(orjson.loads(add["stats"]).get("maxValues", {}).get(self.column))
        self._seen = newest
        return self._newest

    def _take(self, said: str | None) -> None:
        if said is not None:
            moment = datetime.fromisoformat(said)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            self._newest = max(self._newest, moment.timestamp())

"""How many rows there ever were for each stream of an engine to take."""

from collections.abc import Sequence
from pathlib import Path

from k2.engine.stream_task import StreamTask
from k2.storage.delta import row_count
from k2.storage.handles import MAX_COMMITS_OF_A_WATCHER
from k2.storage.stored_tables import StoredTables


class RowsAvailable:
    """Counts what is upstream: by what the streams here gave, else by the tables' logs or Kafka."""

    def __init__(self, lake: Path, tasks: Sequence[StreamTask]) -> None:
        """Count for the streams of ``tasks``, and look for other tables under ``lake``."""
        self._tasks = tasks
        self._tables = StoredTables(lake, MAX_COMMITS_OF_A_WATCHER)

    def of(self, task: StreamTask) -> int:
        """Return the rows upstream of a stream, taken or not.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        if task.stream.unread is not None:
            return task.rows_in + task.stream.unread()
        given = {other.stream.tables[0].name: other.rows_out for other in self._tasks}
        total = 0
        for table in task.stream.reads:
            if table.name in given:
                total += given[table.name]
            elif (stored := self._tables.find(table.name)) is not None:
                total += row_count(stored)
        return total

"""Count the rows upstream of each stream of an engine, read or not."""

from collections.abc import Sequence
from pathlib import Path

from k2.engine.stream_task import StreamTask
from k2.storage.delta import row_count
from k2.storage.handles import MAX_COMMITS_OF_A_WATCHER
from k2.storage.stored_tables import StoredTables


class RowsAvailable:
    """Counts upstream rows: by what the streams of this engine wrote, else by the tables' logs or Kafka."""

    def __init__(self, lake: Path, tasks: Sequence[StreamTask]) -> None:
        """Count for the streams of ``tasks``, and look for other tables under ``lake``."""
        self._tasks = tasks
        self._tables = StoredTables(lake, MAX_COMMITS_OF_A_WATCHER)

    def of(self, task: StreamTask) -> int:
        """Return the number of rows upstream of a stream, read or not.

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

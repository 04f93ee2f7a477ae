"""How many rows there ever were for each stream of an engine to take."""

from collections.abc import Sequence
from pathlib import Path

from k2.engine.stream_task import Slot
from k2.observability.resource_metrics import OpenTables
from k2.storage.delta import row_count


class Arrivals:
    """Counts what is upstream: by what the streams here gave, else by the tables' logs or Kafka."""

    def __init__(self, lake: Path, slots: Sequence[Slot]) -> None:
        """Count for the streams of ``slots``, and look for other tables under ``lake``."""
        self._slots = slots
        self._tables = OpenTables(lake)

    def of(self, slot: Slot) -> int:
        """Return the rows upstream of a stream, taken or not.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        if slot.stream.unread is not None:
            return slot.taken + slot.stream.unread()
        given = {other.stream.tables[0].name: other.given for other in self._slots}
        total = 0
        for table in slot.stream.reads:
            if table.name in given:
                total += given[table.name]
            elif (stored := self._tables.stored(table.name)) is not None:
                total += row_count(stored)
        return total

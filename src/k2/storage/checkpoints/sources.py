"""Add a source to a checkpoint, so that a stream continues when an exchange is added.

Spark numbers the sources of a query by their place in the plan, keeps one line for each source in every
file of the offset log, and refuses to start when their number has changed. A source that has given
nothing yet has the line ``-``. Gold reads one table for each exchange and keeps no state, so that a new
exchange at the end of the list needs nothing but such a line.
"""

from pathlib import Path

from k2.errors import StaleCheckpointError
from k2.storage.checkpoints.offset_log import NOTHING_YET, batches, write_lines

_HEADER = 2  # lines before the sources: the log's version and the batch's settings


def admit_sources(checkpoint: Path, sources: int) -> None:
    """Extend the offsets of every planned batch to ``sources`` sources.

    Raises:
        StaleCheckpointError: the checkpoint has more sources than there are.
    """
    offsets = checkpoint / "offsets"
    for batch in sorted(batches(offsets)):
        path = offsets / str(batch)
        lines = path.read_text(encoding="utf-8").splitlines()
        known = len(lines) - _HEADER
        if known > sources:
            raise StaleCheckpointError(
                f"The checkpoint {checkpoint} knows {known} sources, but there are {sources}: an "
                "exchange has been taken out. Put it back, or move the stream's tables and "
                "checkpoint away and start it over."
            )
        if known < sources:
            write_lines(path, [*lines, *[NOTHING_YET] * (sources - known)])

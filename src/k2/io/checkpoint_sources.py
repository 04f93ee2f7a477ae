"""A checkpoint that learns of a further source: a stream goes on when an exchange is added.

Spark numbers the sources of a query by their place in the plan, keeps one line a source in every
file of the offset log, and refuses to start when their number has changed. A source that has given
nothing yet has the line ``-``. Gold reads one table an exchange, and keeps no state, so that such a
line is all that a new exchange at the end of the list needs.
"""

import os
from pathlib import Path

from k2.errors import StaleCheckpointError

_HEADER = 2  # lines before the sources: the log's version and the batch's settings
_NOTHING_YET = "-"


def admit_sources(checkpoint: Path, sources: int) -> None:
    """Add what is missing for ``sources`` sources at the end of every planned batch's offsets.

    Raises:
        StaleCheckpointError: the checkpoint knows more sources than there are.
    """
    offsets = checkpoint / "offsets"
    planned = [path for path in offsets.glob("*") if path.name.isdigit()]
    for path in sorted(planned, key=lambda path: int(path.name)):
        lines = path.read_text(encoding="utf-8").splitlines()
        known = len(lines) - _HEADER
        if known > sources:
            raise StaleCheckpointError(
                f"The checkpoint {checkpoint} knows {known} sources, but there are {sources}: an "
                "exchange has been taken out. Put it back, or move the stream's tables and "
                "checkpoint away and start it over."
            )
        if known < sources:
            _replace(path, [*lines, *[_NOTHING_YET] * (sources - known)])


def _replace(path: Path, lines: list[str]) -> None:
    scratch = path.with_name(f".{path.name}.admitting")
    with scratch.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        os.fsync(file.fileno())
    # Spark checks a file against its checksum only when there is one.
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    scratch.replace(path)

"""Find the files of a table that some stream has not read."""

from collections.abc import Iterable
from pathlib import Path

from k2.storage.checkpoints.consumers import first_unread
from k2.storage.checkpoints.offset_log import batches
from k2.storage.delta_log import actions_of

ALL_READ = 2**63 - 1


def has_begun(checkpoint: Path) -> bool:
    """Tell whether a stream has planned a batch. Before that it needs no old version: it will read the table as it is
    when it begins."""
    return bool(batches(checkpoint / "offsets"))


def unread_since(
    checkpoints: Iterable[Path], table: Path, table_id: str, newest_version: int
) -> int:
    """Return the time from which on files of a table may be unread by some stream.

    Returns:
        Milliseconds since 1970, as Delta's ``modificationTime``: every stream has read older files. 0 when
        a stream needs every file; ``ALL_READ`` when every file has been read.
    """
    since = ALL_READ
    for checkpoint in checkpoints:
        if has_begun(checkpoint):
            version = first_unread(checkpoint, table_id)
            if version is None:
                return 0
            since = min(since, _first_written(table, version, newest_version))
    return since


def _first_written(table: Path, version: int, newest_version: int) -> int:
    """When the first file of new rows from a version on was written; 0 when the log does not say."""
    for number in range(version, newest_version + 1):
        entries = actions_of(table, number)
        if entries is None:
            return 0
        times = [
            int(entry["add"]["modificationTime"])
            for entry in entries
            if entry.get("add", {}).get("dataChange")
        ]
        if times:
            return min(times)
    return ALL_READ

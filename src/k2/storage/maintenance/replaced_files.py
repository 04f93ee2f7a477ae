"""Remove files that no version in a table's log refers to: replaced files, and those of writers that died.

So the files go as far back as the log does, and a version that can be opened can be read. Streams of K2
need no more: what they have not read is in the log (:mod:`k2.storage.maintenance.log_cleanup`).
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from k2.storage.delta import folder_of
from k2.storage.delta_log import actions_of, log_folder
from k2.storage.maintenance.log_cleanup import versions_kept

# Marks a file of object_store that is not whole yet: its name, and a number.
_STAGED = "#"


def remove_replaced_files(stored: DeltaTable, least_seconds: float, dry_run: bool = False) -> int:
    """Delete the files that no version in the log refers to; return how many.

    Args:
        stored: the table, its newest version.
        least_seconds: younger files stay, which a writer may be about to commit.
        dry_run: only count them.
    """
    folder, before = folder_of(stored), time.time() - least_seconds
    # The folder first: a file of a version that is committed meanwhile is not on this list.
    there = [path for path in _walk(folder) if _is_older(path, before)]
    needed = _referred(stored, folder) if there else set()
    gone = [path for path in there if str(path.relative_to(folder)) not in needed]
    gone += [path for path in log_folder(folder).glob(f"*{_STAGED}*") if _is_older(path, before)]
    for path in () if dry_run else gone:
        path.unlink(missing_ok=True)
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)  # as Hadoop's local files have
    return len(gone)


def _referred(stored: DeltaTable, folder: Path) -> set[str]:
    """Paths of all files of the oldest version in the log and of every one since."""
    stored.update_incremental()
    now = pa.table(stored.get_add_actions())["path"].to_pylist()
    paths = {unquote(path) for path in now} | set(now)
    for version in versions_kept(folder, stored.version()):
        for entry in actions_of(folder, version) or ():
            for action in ("add", "remove", "cdc"):
                if action in entry:
                    paths.add(unquote(entry[action]["path"]))
    return paths


def _is_older(path: Path, when: float) -> bool:
    try:
        return path.stat().st_mtime < when
    except FileNotFoundError:  # its writer has just renamed it
        return False


def _walk(folder: Path) -> Iterator[Path]:
    """A table's data files, outside its log; names that begin with _ or . belong to their writer alone."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(("_", ".")):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)

"""Find the rows of a table that a stream has not read, from its checkpoint and the table's log alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import orjson

from k2.storage.checkpoints.consumers import committed_sources
from k2.storage.delta_log import actions_of


class AddedFile(NamedTuple):
    """A data file that a commit added; the path is absolute."""

    path: str
    rows: int


def unread_from(checkpoint: Path, table_id: str) -> int | None:
    """Return the oldest version that the stream's committed batches have not read to its end.

    0 stands for a table that none of them has read; None for a stream that has committed none.
    """
    sources = committed_sources(checkpoint)
    if sources is None:
        return None
    source = sources.get(table_id)
    if source is None or source.get("isStartingVersion"):
        return 0
    return int(source["reservoirVersion"])


def files_added(table: Path, first: int, last: int) -> list[AddedFile] | None:
    """Return the files that versions ``first`` to ``last`` added with new rows.

    Files of a compaction, which only moved rows, are not among them. None when the log no longer has a version.
    """
    found = []
    for version in range(first, last + 1):
        entries = actions_of(table, version)
        if entries is None:
            return None
        adds = (entry["add"] for entry in entries if "add" in entry)
        found += [_file(table, add) for add in adds if add["dataChange"]]
    return found


def _file(table: Path, add: Mapping[str, str]) -> AddedFile:
    rows = orjson.loads(add["stats"])["numRecords"] if add.get("stats") else 0
    return AddedFile(str(table / unquote(add["path"])), int(rows))

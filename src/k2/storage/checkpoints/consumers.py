"""How far the streams that read a table have come, by their checkpoints."""

from pathlib import Path
from typing import Any

import orjson
from deltalake import DeltaTable

from k2.storage.checkpoints.offset_log import NOTHING_YET, OffsetLog, newest
from k2.storage.delta import folder_of, open_table, row_count
from k2.storage.delta_log import rows_added
from k2.storage.table import Table


def committed_sources(checkpoint: Path) -> dict[str, dict[str, Any]] | None:
    """Return how far the newest committed batch has read each table, by the table's id, as Spark writes it.

    None when no batch is committed.
    """
    batch = newest(checkpoint / "commits")
    if batch is None:
        return None
    try:
        lines = (checkpoint / "offsets" / str(batch)).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    sources = (orjson.loads(line) for line in lines if '"reservoirId"' in line)
    return {source["reservoirId"]: source for source in sources}


def first_unread(checkpoint: Path, table_id: str) -> int | None:
    """Return the oldest version that a stream has not read to its end; None when it needs the whole table.

    It needs the whole table before its first batch, and until it has read what was there when it began.
    """
    source = (committed_sources(checkpoint) or {}).get(table_id)
    if source is None or source.get("isStartingVersion"):
        return None
    return int(source["reservoirVersion"])


def unread_rows(checkpoint: Path, table: DeltaTable) -> int:
    """Return how many rows of its only source, which is ``table``, a stream has not read.

    That is all of them until it has read what was there when it began, and when the log no longer has the
    versions that it needs.
    """
    (start,) = OffsetLog(checkpoint).position(1).starts
    if start == NOTHING_YET:
        return row_count(table)
    offset = orjson.loads(start)
    if offset["isStartingVersion"]:
        return row_count(table)
    first, read_of_it = int(offset["reservoirVersion"]), int(offset["index"]) + 1
    added = [
        rows_added(folder_of(table), version, read_of_it if version == first else 0)
        for version in range(first, table.version() + 1)
    ]
    return row_count(table) if None in added else sum(filter(None, added))


def rows_read(lake: Path, source: Table, checkpoint: Path) -> int:
    """Return how many rows of its only source a stream has read."""
    stored = open_table(lake, source)
    return 0 if stored is None else row_count(stored) - unread_rows(checkpoint, stored)

"""How far the streams that read a table are, as their checkpoints say."""

from pathlib import Path

import orjson

from k2.storage.checkpoints.offset_log import newest


def first_unread(checkpoint: Path, table_id: str) -> int | None:
    """Return the oldest version that a stream has not read to its end; None when it needs the whole table.

    It does before its first batch, and until it has read what was there when it began.
    """
    batch = newest(checkpoint / "commits")
    if batch is None:
        return None
    try:
        lines = (checkpoint / "offsets" / str(batch)).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        if '"reservoirId"' in line and (source := orjson.loads(line))["reservoirId"] == table_id:
            return None if source.get("isStartingVersion") else int(source["reservoirVersion"])
    return None

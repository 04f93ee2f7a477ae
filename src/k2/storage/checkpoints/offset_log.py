"""Write and read a stream's checkpoint in Spark's format, for batches that no Spark query runs.

Before a batch is written, ``offsets/<batch>`` says how far it will have read each source; once it is
written, ``commits/<batch>`` says so. A Spark query that starts on the checkpoint continues from there.
The forms are those of Spark's ``OffsetSeqLog`` and ``CommitLog`` and of Delta's ``DeltaSourceOffset``.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

NOTHING_YET = "-"
_VERSION = "v1"
_KEPT = 10  # batches, as the sessions' spark.sql.streaming.minBatchesToRetain


@dataclass(frozen=True)
class Position:
    """Where a stream is: its next batch reads each source from ``starts``.

    ``planned`` is how far that batch reads, if its offsets are planned: it may then be partly written.
    ``watermark`` is in milliseconds since 1970; 0 for none.
    """

    batch: int
    starts: tuple[str, ...]
    planned: tuple[str, ...] | None = None
    watermark: int = 0


class OffsetLog:
    """The offsets and commits of one checkpoint folder."""

    def __init__(self, checkpoint: Path) -> None:
        self._offsets, self._commits = checkpoint / "offsets", checkpoint / "commits"

    def position(self, sources: int) -> Position:
        """Return the stream's position; a stream that never ran has read nothing of its ``sources``."""
        batch = newest(self._offsets)
        if batch is None:
            return Position(0, (NOTHING_YET,) * sources)
        ends = self._ends(batch)
        if (commit := self._commits / str(batch)).exists():
            said = orjson.loads(commit.read_bytes().splitlines()[1])
            return Position(batch + 1, ends, watermark=said.get("nextBatchWatermarkMs", 0))
        before = self._ends(batch - 1) if batch else (NOTHING_YET,) * sources
        return Position(batch, before, ends, self._header(batch)["batchWatermarkMs"])

    def planned_at(self, batch: int) -> datetime:
        """Return the time at which a batch was planned, which is the same however often it runs."""
        milliseconds = self._header(batch)["batchTimestampMs"]
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    def plan(self, batch: int, ends: tuple[str, ...], watermark: int, now: int) -> None:
        """Note how far a batch will read, before it writes anything; ``now`` is in milliseconds."""
        header = {"batchWatermarkMs": watermark, "batchTimestampMs": now, "conf": {}}
        write_lines(self._offsets / str(batch), (_VERSION, orjson.dumps(header).decode(), *ends))
        remove_file(self._offsets / str(batch - _KEPT))

    def commit(self, batch: int, watermark: int) -> None:
        """Note that a batch is written."""
        written = orjson.dumps({"nextBatchWatermarkMs": watermark}).decode()
        write_lines(self._commits / str(batch), (_VERSION, written))
        remove_file(self._commits / str(batch - _KEPT))

    def _ends(self, batch: int) -> tuple[str, ...]:
        return tuple((self._offsets / str(batch)).read_text().splitlines()[2:])

    def _header(self, batch: int) -> dict[str, int]:
        header: dict[str, int] = orjson.loads(
            (self._offsets / str(batch)).read_bytes().splitlines()[1]
        )
        return header


def newest(log: Path) -> int | None:
    """Return the newest batch of a log; None for none."""
    return max(batches(log), default=None)


def batches(log: Path) -> list[int]:
    """Return the batches of a log, in no order."""
    return [int(path.name) for path in log.glob("*") if path.name.isdigit()]


def table_offset(table_id: str, version: int) -> str:
    """Return Delta's offset of a stream that has read a table up to, and without, a version."""
    offset = {
        "sourceVersion": 1,
        "reservoirId": table_id,
        "reservoirVersion": version,
        "index": -1,
        "isStartingVersion": False,
    }
    return orjson.dumps(offset).decode()


def next_version(offset: str) -> int | None:
    """Return the first version that an offset leaves unread; None when the offset is inside a version."""
    if offset == NOTHING_YET:
        return 0
    said = orjson.loads(offset)
    if said["index"] != -1 or said["isStartingVersion"]:
        return None
    return int(said["reservoirVersion"])


def is_of_table(offset: str, table_id: str, newest: int) -> bool:
    """Tell whether an offset can be one of a table with this id and newest version.

    It cannot when the table was recreated, or restored to a state before the offset.
    """
    if offset == NOTHING_YET:
        return True
    said = orjson.loads(offset)
    return said["reservoirId"] == table_id and int(said["reservoirVersion"]) <= newest + 1


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file of the log, or replace it, as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    scratch.write_text("\n".join(lines), encoding="utf-8")
    # Spark checks a file against its checksum only when there is one.
    _checksum(path).unlink(missing_ok=True)
    scratch.replace(path)


def remove_file(path: Path) -> None:
    """Remove a log's file, if it is there, and Spark's checksum of it."""
    path.unlink(missing_ok=True)
    _checksum(path).unlink(missing_ok=True)


def _checksum(path: Path) -> Path:
    return path.with_name(f".{path.name}.crc")

"""Records that Kafka does not take now: a bounded queue on disk, in order, oldest out first.

A segment is a file of frames: a four-byte length, a four-byte CRC, and the record. One that a crash
cut off ends at its last whole frame.
"""

import errno
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import orjson

from k2.feeds.live.feed_record import Dropped, FeedRecord, dropped_of

_SEGMENT_BYTES = 4 << 20
_MAX_PENDING_BYTES = 256 << 10  # in memory
_FRAME = struct.Struct(">II")
_HEAD = struct.Struct(">I")


@dataclass
class Spool:
    """The queue of one feed; ``folder`` is its own. ``max_seconds`` bounds a segment's age.

    Records come out in the order they went in, also after a restart.
    """

    folder: Path
    max_bytes: int
    max_seconds: float
    bytes: int = 0
    records: int = 0
    unwritten: list[FeedRecord] = field(default_factory=list)  # that the disk did not take
    _segments: "deque[_Segment]" = field(default_factory=deque)
    _reading: "_Segment | None" = None
    _writing: FileIO | None = None
    _pending: list[FeedRecord] = field(default_factory=list)
    _pending_bytes: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.glob("*.spool"), key=lambda path: int(path.stem)):
            segment = _Segment(path)
            segment.count()
            if not segment.records:
                path.unlink()
                continue
            self._segments.append(segment)
            self.bytes, self.records = self.bytes + segment.bytes, self.records + segment.records
            self._next = int(path.stem) + 1

    def __len__(self) -> int:
        """Return how many records wait."""
        return self.records

    def append(self, record: FeedRecord) -> None:
        """Put a record at the end; :meth:`flush` writes it."""
        self._pending.append(record)
        self._pending_bytes += len(record.value)
        self.records += 1
        if self._pending_bytes >= _MAX_PENDING_BYTES:
            self.flush()

    def prepend(self, records: list[FeedRecord]) -> None:
        """Put records before all others: they are older."""
        if records:
            path = self._path_before()
            frames = b"".join(map(_pack, records))
            path.write_bytes(frames)
            self._put_first(_Segment(path, len(frames), len(records)))

    def take_over(self, folder: Path, segments: int) -> int:
        """Move the oldest segments of a spool that nobody uses before all others; count their records."""
        found = sorted(folder.glob("*.spool"), key=lambda path: int(path.stem))[:segments]
        moved = 0
        for path in reversed(found):
            segment = _Segment(path.rename(self._path_before()))
            segment.count()
            self._put_first(segment)
            moved += segment.records
        return moved

    def oldest(self) -> list[FeedRecord]:
        """Return the records of the oldest segment; :meth:`done` takes it out."""
        self.flush()
        if len(self._segments) == 1:
            self._close_file()  # what comes from now on is of another segment
        self._reading = self._segments[0] if self._segments else None
        return list(self._reading.read()) if self._reading is not None else []

    def done(self) -> None:
        """Take the segment out that :meth:`oldest` gave last."""
        segment, self._reading = self._reading, None
        if segment is None:
            return
        self._segments.remove(segment)
        if not self._segments:
            self._close_file()
        segment.path.unlink(missing_ok=True)
        self.bytes, self.records = self.bytes - segment.bytes, self.records - segment.records

    def trim(self, now: float) -> Dropped | None:
        """Drop the oldest segment when there is too much, or it is too old; say what it had.

        ``now`` is in seconds since 1970.
        """
        if not self._segments:
            return None
        segment = self._segments[0]
        too_old = now - segment.path.stat().st_mtime > self.max_seconds
        if self.bytes <= self.max_bytes and not too_old:
            return None
        records = self.oldest()
        self.done()
        return dropped_of(records)

    def flush(self) -> None:
        """Hand everything to the operating system; what it does not take is ``unwritten``."""
        records, self._pending, self._pending_bytes = self._pending, [], 0
        if not records:
            return
        try:
            if self._writing is None or self._segments[-1].bytes >= _SEGMENT_BYTES:
                self._roll()
            self._write(records)
        except OSError:  # the disk is full, or gone
            self.records -= len(records)
            self.unwritten += records

    def close(self) -> None:
        """Write everything to the disk."""
        self.flush()
        if self._writing is not None:
            os.fsync(self._writing.fileno())
            self._close_file()

    def _write(self, records: list[FeedRecord]) -> None:
        assert self._writing is not None  # noqa: S101 — by _roll
        segment, frames = self._segments[-1], b"".join(map(_pack, records))
        try:
            if self._writing.write(frames) != len(frames):
                raise OSError(errno.ENOSPC, "written in part")
        except OSError:
            os.ftruncate(self._writing.fileno(), segment.bytes)  # half a frame would end the file
            raise
        segment.bytes, segment.records = segment.bytes + len(frames), segment.records + len(records)
        self.bytes += len(frames)

    def _path_before(self) -> Path:
        first = int(self._segments[0].path.stem) if self._segments else self._next
        return self.folder / f"{first - 1}.spool"

    def _put_first(self, segment: "_Segment") -> None:
        self._segments.appendleft(segment)
        self.bytes, self.records = self.bytes + segment.bytes, self.records + segment.records

    def _close_file(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _roll(self) -> None:
        self._close_file()
        path = self.folder / f"{self._next}.spool"
        self._next += 1
        self._writing = FileIO(path, "ab")
        self._segments.append(_Segment(path))


@dataclass(eq=False)
class _Segment:
    path: Path
    bytes: int = 0
    records: int = 0

    def count(self) -> None:
        for record in self.read():
            self.records += 1
            self.bytes += len(_pack(record))

    def read(self) -> Iterator[FeedRecord]:
        content = self.path.read_bytes()
        place = 0
        while place + _FRAME.size <= len(content):
            length, checksum = _FRAME.unpack_from(content, place)
            body = content[place + _FRAME.size : place + _FRAME.size + length]
            if len(body) < length or zlib.crc32(body) != checksum:
                return
            yield _unpack(body)
            place += _FRAME.size + length


def _pack(record: FeedRecord) -> bytes:
    head = orjson.dumps(
        [
            record.topic,
            None if record.key is None else record.key.decode("utf-8", "surrogateescape"),
            *record[3:],
        ]
    )
    body = _HEAD.pack(len(head)) + head + record.value
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _unpack(body: bytes) -> FeedRecord:
    (length,) = _HEAD.unpack_from(body)
    end = _HEAD.size + length
    topic, key, *rest = orjson.loads(body[_HEAD.size : end])
    return FeedRecord(topic, None if key is None else key.encode(), body[end:], *rest)

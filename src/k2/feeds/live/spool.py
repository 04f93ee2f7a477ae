"""Records that Kafka does not take now: a bounded queue on disk, in order, oldest out first.

A segment is a file of frames: a four-byte length, a four-byte CRC, and the record. One that a crash
cut off ends at its last whole frame.
"""

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

import orjson

_SEGMENT_BYTES = 4 << 20
_FRAME = struct.Struct(">II")
_HEAD = struct.Struct(">I")


class FeedRecord(NamedTuple):
    """A record for Kafka. ``first`` to ``last`` are the numbers that it covers in its ``market``."""

    topic: str
    key: bytes | None
    value: bytes
    time_ms: int
    market: str = ""
    first: int | None = None
    last: int | None = None


class Dropped(NamedTuple):
    """What went out of a full spool: records, and by market the numbers from the first to the last."""

    records: int
    ranges: dict[str, tuple[int, int, int]]  # market → first, last, and the time before, in ms


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
    _segments: "deque[_Segment]" = field(default_factory=deque)
    _writing: BufferedWriter | None = None
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
        """Put a record at the end."""
        if self._writing is None or self._segments[-1].bytes >= _SEGMENT_BYTES:
            self._roll()
        assert self._writing is not None  # noqa: S101 — by _roll
        frame = _pack(record)
        self._writing.write(frame)
        self._segments[-1].bytes += len(frame)
        self._segments[-1].records += 1
        self.bytes, self.records = self.bytes + len(frame), self.records + 1

    def prepend(self, records: list[FeedRecord]) -> None:
        """Put records before all others: they are older."""
        if not records:
            return
        first = int(self._segments[0].path.stem) if self._segments else self._next
        path = self.folder / f"{first - 1}.spool"
        frames = b"".join(map(_pack, records))
        path.write_bytes(frames)
        self._segments.appendleft(_Segment(path, len(frames), len(records)))
        self.bytes, self.records = self.bytes + len(frames), self.records + len(records)

    def oldest(self) -> list[FeedRecord]:
        """Return the records of the oldest segment; :meth:`done` takes it out."""
        if len(self._segments) == 1:
            self.close()  # what comes from now on is of another segment
        return list(self._segments[0].read()) if self._segments else []

    def done(self) -> None:
        """Take the oldest segment out."""
        segment = self._segments.popleft()
        if not self._segments and self._writing is not None:
            self._writing.close()
            self._writing = None
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
        return Dropped(len(records), _ranges(records))

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._writing is not None:
            self._writing.flush()

    def close(self) -> None:
        """Write everything to the disk."""
        if self._writing is not None:
            self._writing.flush()
            os.fsync(self._writing.fileno())
            self._writing.close()
            self._writing = None

    def _roll(self) -> None:
        self.close()
        path = self.folder / f"{self._next}.spool"
        self._next += 1
        self._writing = path.open("ab")
        self._segments.append(_Segment(path))


@dataclass
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


def _ranges(records: list[FeedRecord]) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for record in records:
        if record.first is not None and record.last is not None:
            first, last, time_ms = found.get(
                record.market, (record.first, record.last, record.time_ms)
            )
            found[record.market] = (min(first, record.first), max(last, record.last), time_ms)
    return found

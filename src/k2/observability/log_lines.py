"""The logs of a home, read back: lines with their fields, in the order of time, and as they come."""

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

_FOLLOW_SECONDS = 0.2  # between two looks at the files
SERIOUS = frozenset({"warning", "error", "critical"})


@dataclass(frozen=True, order=True)
class LogLine:
    """A line: its time (ISO, UTC; that of the line before where it has none) and its fields.

    ``fields`` is empty for what is no event, such as a line of Kafka's or of a traceback.
    """

    time: str
    log: str = field(compare=False)
    text: str = field(compare=False)
    fields: Mapping[str, Any] = field(compare=False)


class LogReader:
    """Reads logs by time; a log may be missing yet, and may be emptied by who limits its size."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Name the logs; each is read with the ``.1`` that its older lines were moved to."""
        self._logs = [_GrowingLog(file) for file in files]
        self._before = [_GrowingLog(file.with_name(f"{file.name}.1")) for file in files]

    def read(self) -> Iterator[LogLine]:
        """Yield all lines that are there."""
        yield from heapq.merge(*(log.new_lines() for log in self._before))
        yield from self._new()

    def follow(self, wait: Callable[[float], None] = time.sleep) -> Iterator[LogLine]:
        """Yield what comes after :meth:`read`, without end."""
        while True:
            yield from self._new()
            wait(_FOLLOW_SECONDS)

    def _new(self) -> Iterator[LogLine]:
        return heapq.merge(*(log.new_lines() for log in self._logs))


class _GrowingLog:
    """A log that is written to, read from where the last look ended; a line counts once it is whole."""

    def __init__(self, file: Path) -> None:
        self._file, self._position, self._time = file, 0, ""
        self._name = file.name.split(".")[0]

    def new_lines(self) -> Iterator[LogLine]:
        try:
            opened = self._file.open("rb")
        except FileNotFoundError:
            return
        with opened:
            if opened.seek(0, 2) < self._position:
                self._position = 0
            opened.seek(self._position)
            for raw in opened:
                if not raw.endswith(b"\n"):
                    return
                self._position += len(raw)
                yield self._line(raw)

    def _line(self, raw: bytes) -> LogLine:
        text = raw.decode(errors="replace").rstrip("\r\n")
        try:
            found = orjson.loads(text) if text.startswith("{") else {}
        except orjson.JSONDecodeError:
            found = {}
        self._time = str(found.get("time", self._time))
        return LogLine(self._time, self._name, text, found)

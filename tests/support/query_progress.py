"""What Spark says of a query that runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def progress(second: int, batch: int, idle: bool = False) -> dict[str, Any]:
    durations = {"triggerExecution": 1} if idle else {"addBatch": 1, "triggerExecution": 2}
    return {
        "timestamp": f"2026-03-01T12:00:{second:02}.000Z",
        "batchId": batch,
        "durationMs": durations,
    }


@dataclass
class FakeReport:
    written: Mapping[str, Any]
    query: "FakeQuery"

    def json(self) -> str:
        self.query.read += 1
        return json.dumps(self.written)


@dataclass
class FakeQuery:
    """PySpark's query and Spark's own in one; counts the reports that are read."""

    made: list[Mapping[str, Any]] = field(default_factory=list)
    read: int = 0

    @property
    def _jsq(self) -> "FakeQuery":
        return self

    def lastProgress(self) -> FakeReport | None:
        return FakeReport(self.made[-1], self) if self.made else None

    def recentProgress(self) -> list[FakeReport]:
        return [FakeReport(written, self) for written in self.made]

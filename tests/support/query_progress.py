"""What Spark says of a query that runs."""

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
class FakeQuery:
    made: list[Mapping[str, Any]] = field(default_factory=list)
    looks: int = 0

    @property
    def lastProgress(self) -> Mapping[str, Any] | None:
        return self.made[-1] if self.made else None

    @property
    def recentProgress(self) -> list[Mapping[str, Any]]:
        self.looks += 1
        return list(self.made)

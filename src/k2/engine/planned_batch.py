"""One batch that a stream is handed, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from k2.storage.checkpoints.offset_log import Position
from k2.storage.table import Table
from k2.storage.writers.writer import TxnId


@dataclass(frozen=True)
class EventTimeStats:
    """What a batch says of event time: the mean of its trades', and the watermark after it."""

    mean: datetime
    watermark: datetime


@dataclass
class PlannedBatch:
    """A follower's next batch: write it as ``txn``, and say what it tells of event time.

    ``progress`` is there once it is committed, in the form of a query's.
    """

    txn: TxnId
    event: EventTimeStats | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)


def progress_of(
    position: Position,
    ends: tuple[str, ...],
    reads: tuple[Table, ...],
    took: Mapping[str, float],
    began: float,
    event: EventTimeStats | None,
) -> Mapping[str, Any]:
    """Return a batch's progress in the form of a query's, as far as K2 reads it.

    Args:
        position: where the stream was before it.
        ends: how far it read each of the tables ``reads``.
        took: seconds, by phase.
        began: seconds since 1970.
        event: what it says of event time, if it had rows.
    """
    sources = [
        {"description": f"/{table.name}]", "startOffset": start, "endOffset": end}
        for table, start, end in zip(reads, position.starts, ends, strict=True)
        if start != end
    ]
    progress: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(began, UTC).isoformat(),
        "batchId": position.batch,
        "durationMs": {phase: round(seconds * 1000) for phase, seconds in took.items()},
        "sources": sources,
    }
    if event is not None:
        watermark = datetime.fromtimestamp(position.watermark / 1000, UTC).isoformat()
        progress["eventTime"] = {"avg": event.mean.isoformat(), "watermark": watermark}
    return progress

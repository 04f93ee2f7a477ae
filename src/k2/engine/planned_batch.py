"""One batch that a chained stream has planned, and its progress once it is committed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from k2.storage.checkpoints.offset_log import Position
from k2.storage.table import Table
from k2.storage.writers.writer import TxnId


@dataclass(frozen=True)
class EventTimeStats:
    """A batch's event time as Spark reports it: the mean of its rows, and the watermark after the batch."""

    mean: datetime
    watermark: datetime

    @classmethod
    def of(cls, times: pa.ChunkedArray, delay_minutes: int) -> "EventTimeStats":
        """Work it out of a batch's times; there is at least one."""
        mean = pc.round(pc.mean(times.cast(pa.int64()))).cast(pa.int64()).cast(times.type)
        return cls(mean.as_py(), pc.max(times).as_py() - timedelta(minutes=delay_minutes))


@dataclass
class PlannedBatch:
    """A chained stream's next batch, to be written under the transaction id ``txn``.

    The processor's caller sets ``event_time``. ``progress`` exists once the batch is committed, in the
    form of a Spark query's progress.
    """

    txn: TxnId
    event_time: EventTimeStats | None = None
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

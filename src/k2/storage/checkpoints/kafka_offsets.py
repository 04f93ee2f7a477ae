"""What a stream has read of a Kafka topic, by Spark's checkpoint.

The forms are those of Spark's ``KafkaSourceOffset`` in ``offsets/<batch>`` and of its
``KafkaSourceInitialOffsetWriter`` in ``sources/0/0``, which says where the first batch began.
"""

from collections.abc import Mapping
from pathlib import Path

import orjson

from k2.storage.checkpoints.offset_log import newest

ReadRanges = Mapping[int, tuple[int, int]]  # partition → first offset read, next offset to read

_HEADER_LINES = 2  # of a planned batch: the log's version and the batch's settings


def committed_ranges(checkpoint: Path, topic: str) -> ReadRanges | None:
    """Return what the stream's committed batches have read; None when it has committed none.

    A partition that came later is read from 0.
    """
    batch = newest(checkpoint / "commits")
    if batch is None:
        return None
    ends = planned_ends(checkpoint, topic, batch)
    if ends is None:
        return None
    starts = first_offsets(checkpoint, topic)
    return {partition: (starts.get(partition, 0), end) for partition, end in ends.items()}


def first_offsets(checkpoint: Path, topic: str) -> dict[int, int]:
    """Return where the first batch began, by partition; nothing when there was none."""
    try:
        text = (checkpoint / "sources" / "0" / "0").read_text("utf-8")
    except FileNotFoundError:
        return {}
    # A zero byte and the log's version come before the offsets.
    return _offsets(text[text.index("{") :], topic) if "{" in text else {}


def planned_ends(checkpoint: Path, topic: str, batch: int) -> dict[int, int] | None:
    """Return up to which offsets a batch reads; None when the checkpoint no longer has its plan."""
    try:
        lines = (checkpoint / "offsets" / str(batch)).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    return _offsets(lines[_HEADER_LINES], topic) if len(lines) > _HEADER_LINES else None


def _offsets(text: str, topic: str) -> dict[int, int]:
    by_topic = orjson.loads(text)
    return {int(partition): int(offset) for partition, offset in by_topic.get(topic, {}).items()}

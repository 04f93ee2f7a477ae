"""Which chained streams are behind, so that their own queries must catch up."""

from collections.abc import Sequence

from k2.engine.stream_task import StreamTask
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog


def find_streams_behind(tasks: Sequence[StreamTask], settings: Settings) -> None:
    """Note, before streams start, which chained streams are behind the tables that they read.

    A batch that a crash cut off is no reason: the stream that began it runs it again and passes it on.
    """
    chained = [task.stream.chained for task in tasks if task.stream.chained is not None]
    if not chained:
        return
    begun = {}
    for task in tasks:
        position = OffsetLog(task.stream.checkpoint(settings)).position(len(task.stream.reads))
        if position.planned is not None:
            begun[task.stream.app_id] = position.batch
    for stream in chained:
        stream.is_behind = stream.has_unread(begun)


def mark_readers_behind(task: StreamTask, tasks: Sequence[StreamTask]) -> None:
    """Note that a stream's table has rows that were not passed in memory."""
    for other in tasks:
        if other.stream.chained is not None and task.stream.tables[0] in other.stream.reads:
            other.stream.chained.is_behind = True

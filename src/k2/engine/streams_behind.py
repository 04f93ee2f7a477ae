"""What was not handed on is left to a follower's own query: who notices, and for whom."""

from collections.abc import Sequence

from k2.engine.stream_task import StreamTask
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog


def find_streams_behind(tasks: Sequence[StreamTask], settings: Settings) -> None:
    """Note, before streams start, which followers are behind the tables that they read.

    A batch that a crash cut off is no reason: the stream that began it runs it again and hands it on.
    """
    followers = [task.stream.follower for task in tasks if task.stream.follower is not None]
    if not followers:
        return
    begun = {}
    for task in tasks:
        position = OffsetLog(task.stream.checkpoint(settings)).position(len(task.stream.reads))
        if position.planned is not None:
            begun[task.stream.app_id] = position.batch
    for follower in followers:
        follower.is_behind = follower.has_unread(begun)


def mark_readers_behind(task: StreamTask, tasks: Sequence[StreamTask]) -> None:
    """Note that a stream's table has rows that it did not hand on."""
    for other in tasks:
        if other.stream.follower is not None and task.stream.tables[0] in other.stream.reads:
            other.stream.follower.is_behind = True

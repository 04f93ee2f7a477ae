"""What was not handed on is left to a follower's own query: who notices, and for whom."""

from collections.abc import Sequence

from k2.engine.stream_task import Slot
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog


def find_left(slots: Sequence[Slot], settings: Settings) -> None:
    """Note, before streams start, which followers are behind the tables that they read.

    A batch that a crash cut off is no reason: the stream that began it runs it again and hands it on.
    """
    followers = [slot.stream.follower for slot in slots if slot.stream.follower is not None]
    if not followers:
        return
    begun = {}
    for slot in slots:
        position = OffsetLog(slot.stream.checkpoint(settings)).position(len(slot.stream.reads))
        if position.planned is not None:
            begun[slot.stream.app] = position.batch
    for follower in followers:
        follower.left = follower.is_behind(begun)


def leave_to_readers(slot: Slot, slots: Sequence[Slot]) -> None:
    """Note that a stream's table has rows that it did not hand on."""
    for other in slots:
        if other.stream.follower is not None and slot.stream.tables[0] in other.stream.reads:
            other.stream.follower.left = True

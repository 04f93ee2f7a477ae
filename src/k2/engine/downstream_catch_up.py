"""A stream that hands its batches on waits while those that follow it catch up by themselves."""

import time
from collections.abc import Sequence

from k2.engine.batch_throttle import Gate
from k2.engine.stream_task import Slot, slots_before

_LONGEST = 60.0  # seconds a batch, so that what never ends holds nothing back for ever


class CatchingUp(Gate):
    """Holds batches back that could not be handed on yet.

    A follower whose own query runs is handed nothing, and each batch that passes it by is one more for
    that query. So it gets the time to come level.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Look at the streams of ``slots``."""
        super().__init__()
        self._slots = slots

    def wait(self, slot: Slot) -> None:
        """Wait, in the thread of a stream's batch, until those that follow it are level."""
        followers = [other for other in self._slots if self._comes_before(slot, other)]
        self.hold(lambda: any(map(_is_catching_up, followers)), time.monotonic() + _LONGEST)

    def is_before(self, slot: Slot) -> bool:
        """Tell whether a stream before this one is catching up."""
        return any(map(_is_catching_up, slots_before(slot, self._slots)))

    def _comes_before(self, slot: Slot, other: Slot) -> bool:
        return any(before is slot for before in slots_before(other, self._slots))


def _is_catching_up(slot: Slot) -> bool:
    # One that fails again and again holds nobody back.
    runs = slot.starting is not None or slot.running is not None
    return slot.stream.follower is not None and runs and slot.status.error is None

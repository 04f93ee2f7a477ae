"""The last stream gives way while the streams before it are behind: bars can wait, trades should not."""

import time
from collections.abc import Sequence

from k2.runner.gate import Gate
from k2.runner.slot import Slot, is_read, slots_before

# Ten seconds of 5,000 records: less than that is no backlog.
_FAR_BEHIND = 50_000  # rows
_LONGEST = 60.0  # seconds, so that a backlog that never ends holds nothing back for ever


class GivingWay(Gate):
    """Holds batches back of a stream that no other reads.

    The bars of a batch are made of all trades of its hours. While a backlog passes, each batch brings
    every hour again, so that bars took half of the cores from the trades that they are made of.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Look at the streams of ``slots``."""
        super().__init__()
        self._slots = slots

    def wait(self, slot: Slot) -> None:
        """Wait, in the thread of a stream's batch, until those before it have caught up."""
        if is_read(slot, self._slots):
            return
        before = slots_before(slot, self._slots)
        self.hold(lambda: _rows_behind(before) >= _FAR_BEHIND, time.monotonic() + _LONGEST)


def _rows_behind(slots: Sequence[Slot]) -> int:
    # One that cannot go on now would hold the bars of all others back.
    going_on = [slot for slot in slots if not slot.done and not slot.status.error]
    return sum(slot.status.lag or 0 for slot in going_on)

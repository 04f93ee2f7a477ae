"""The last stream gives way while the streams before it are behind: bars can wait, trades should not."""

import threading
import time
from collections.abc import Sequence

from k2.runner.slot import Slot, is_read, slots_before

# Ten seconds of 5,000 records: less than that is no backlog.
_FAR_BEHIND = 50_000  # rows
_LONGEST = 60.0  # seconds, so that a backlog that never ends holds nothing back for ever
_LOOK = 0.25


class GivingWay:
    """Holds batches back of a stream that no other reads.

    The bars of a batch are made of all trades of its hours. While a backlog passes, each batch brings
    every hour again, so that bars took half of the cores from the trades that they are made of.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Look at the streams of ``slots``."""
        self._slots = slots
        self._over = threading.Event()

    def wait(self, slot: Slot) -> None:
        """Wait, in the thread of a stream's batch, until those before it have caught up."""
        if is_read(slot, self._slots):
            return
        until = time.monotonic() + _LONGEST
        before = slots_before(slot, self._slots)
        while time.monotonic() < until and not self._over.is_set():
            # One that cannot go on now would hold the bars of all others back.
            going_on = [other for other in before if not other.done and not other.status.error]
            if sum(other.status.lag or 0 for other in going_on) < _FAR_BEHIND:
                return
            self._over.wait(_LOOK)

    def end(self) -> None:
        """Hold nobody back from now on."""
        self._over.set()

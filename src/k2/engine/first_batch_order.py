"""The first batches of a run: every stream has its first before any has its second."""

import time
from collections.abc import Sequence

from k2.bars.table import BARS
from k2.engine.batch_throttle import Gate
from k2.engine.rows_available import Arrivals
from k2.engine.stream_task import Slot, slots_before
from k2.errors import K2Error

_LONGEST = 60.0  # seconds from the start of the streams


class WarmUp(Gate):
    """Holds back second batches while another stream's first is due, and first ones out of turn.

    In a new JVM a batch of any stream takes the cores for a second. Bronze, which has one due every
    second, so kept its own rows from Silver and Gold for half a minute.
    """

    def __init__(self, slots: Sequence[Slot], arrivals: Arrivals) -> None:
        """Begin the warm-up of the streams of ``slots``; nobody waits for bars."""
        super().__init__()
        self._slots = [slot for slot in slots if slot.stream.name != BARS]
        self._arrivals = arrivals
        self._until = time.monotonic() + _LONGEST

    def wait(self, slot: Slot) -> None:
        """Wait, in the thread of a stream's batch, until it may begin."""
        self.hold(lambda: not self.is_turn(slot), self._until)

    def is_turn(self, slot: Slot) -> bool:
        """Tell whether no first batch is due that comes before a stream's next one."""
        # The time first: to look whether a stream is due may ask Kafka, which no later batch pays for.
        if time.monotonic() >= self._until or self.is_over:
            return True
        first = slot.status.batches == 0
        before = slots_before(slot, self._slots) if first else self._slots
        return not any(map(self._is_due, before))

    def _is_due(self, slot: Slot) -> bool:
        if slot.done or slot.status.batches:
            return False
        try:
            return self._arrivals.of(slot) != slot.taken
        except K2Error:  # Kafka does not answer: nobody waits for it
            return False

"""Starts streams beside each other, each when it is wanted."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pyspark.sql import SparkSession

from k2.engine.downstream_catch_up import CatchingUp
from k2.engine.first_batch_order import WarmUp
from k2.engine.rows_available import Arrivals
from k2.engine.stream import BatchReport, RunningStream, start
from k2.engine.stream_task import Slot, is_read
from k2.settings import Settings

_AT_A_TIME = 2  # a start is planning, which takes a core for seconds


class Starter:
    """Starts the streams of ``slots`` in threads of its own: whoever watches them goes on."""

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        slots: Sequence[Slot],
        available_now: bool,
        on_batch: Callable[[Slot, BatchReport], None],
    ) -> None:
        """Have ``on_batch`` told of every batch of every stream, in the thread that wrote it."""
        self._spark = spark
        self._settings = settings
        self._slots = slots
        self._available_now = available_now
        self._on_batch = on_batch
        self._arrivals = Arrivals(settings.lake, slots)
        self._warm_up = WarmUp(slots, self._arrivals)
        self._catching_up = CatchingUp(slots)
        # In this order: what one lets through, another may hold back.
        self._gates = (self._catching_up, self._warm_up)
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "k2-start")
        if available_now:
            for gate in self._gates[1:]:  # it has no second batches that come too early
                gate.end()

    def begin(self, slot: Slot) -> bool:
        """Begin to start a stream; tell whether there is anything to start it for.

        Raises:
            UnavailableError: Kafka does not say what it has.
        """
        if not self._is_wanted(slot):
            return False

        follower = slot.stream.follower
        if follower is not None:
            follower.lend()

        def start_it() -> RunningStream:
            return start(
                slot.stream,
                self._spark,
                self._settings,
                # A follower's query takes what was left, and ends.
                self._available_now or follower is not None,
                lambda report: self._on_batch(slot, report),
                lambda: self._wait(slot),
            )

        slot.starting = self._threads.submit(start_it)
        return True

    def stop(self) -> None:
        """Begin no more starts; take over the streams whose start has ended meanwhile."""
        for gate in self._gates:
            gate.end()
        self._threads.shutdown(cancel_futures=True)
        for slot in self._slots:
            starting, slot.starting = slot.starting, None
            if starting is not None and not starting.cancelled():
                with suppress(Exception):  # it did not start: nothing to stop
                    slot.started(starting.result(), again=False)

    def _wait(self, slot: Slot) -> None:
        if slot.stream.follower is None:  # else others wait for it
            for gate in self._gates:
                gate.wait(slot)

    def _is_wanted(self, slot: Slot) -> bool:
        if slot.stream.follower is not None:
            # Once, for all that the streams before it may be catching up with themselves.
            return slot.stream.follower.left and not self._catching_up.is_before(slot)
        there = self._arrivals.of(slot)
        if self._available_now or is_read(slot, self._slots):
            # It is planned beside the first batch of the stream before it; and a run that ends by
            # itself ends a batch that was written and not committed.
            return there > 0
        # Nobody waits for the last stream: it is planned after the first batches of the others.
        return there != slot.taken and self._warm_up.is_turn(slot)

"""Start streams in parallel, each when there is something for it to read."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from k2.engine.downstream_catch_up import DownstreamCatchUp
from k2.engine.failures import classify
from k2.engine.first_batch_order import FirstBatchOrder
from k2.engine.processor import BatchResult
from k2.engine.rows_available import RowsAvailable
from k2.engine.stream import StreamHandle, start
from k2.engine.stream_task import StreamTask, is_read
from k2.errors import K2Error
from k2.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MAX_STARTS = 2  # a start is planning, which takes a core for seconds


class StreamScheduler:
    """Starts the streams of ``tasks`` in threads of its own, so that the watching thread is not blocked."""

    def __init__(
        self,
        spark: "SparkSession",
        settings: Settings,
        tasks: Sequence[StreamTask],
        available_now: bool,
        on_batch: Callable[[StreamTask, BatchResult], None],
    ) -> None:
        """``on_batch`` is called with the result of every batch of every stream, in the thread that wrote it."""
        self._spark = spark
        self._settings = settings
        self._tasks = tasks
        self._available_now = available_now
        self._on_batch = on_batch
        self._rows_available = RowsAvailable(settings.lake, tasks)
        self._first_batch_order = FirstBatchOrder(tasks, self._rows_available)
        self._downstream_catch_up = DownstreamCatchUp(tasks)
        # In this order: what one lets through, another may hold back.
        self._throttles = (self._downstream_catch_up, self._first_batch_order)
        self._threads = ThreadPoolExecutor(_MAX_STARTS, "k2-start")
        if available_now:
            for throttle in self._throttles[1:]:  # it has no second batches that come too early
                throttle.end()

    def begin(self, task: StreamTask) -> bool:
        """Begin to start a stream if there is something for it to read; tell whether it was begun.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        if not self._is_wanted(task):
            return False

        chained = task.stream.chained
        if chained is not None:
            chained.begin_catch_up()

        def start_it() -> StreamHandle:
            try:
                return start(
                    task.stream,
                    self._spark,
                    self._settings,
                    # A chained stream's query catches up, and ends.
                    self._available_now or chained is not None,
                    lambda report: self._on_batch(task, report),
                    lambda: self._wait(task),
                )
            except K2Error:
                raise
            except Exception as error:  # Spark's: this stream's failure, and not the run's
                raise classify(task.stream.name, error) from error

        task.starting = self._threads.submit(start_it)
        return True

    def stop(self) -> None:
        """Begin no more starts; take over the streams that have started meanwhile."""
        for throttle in self._throttles:
            throttle.end()
        self._threads.shutdown(cancel_futures=True)
        for task in self._tasks:
            starting, task.starting = task.starting, None
            if starting is not None and not starting.cancelled():
                with suppress(Exception):  # it did not start: nothing to stop
                    task.started(starting.result(), again=False)

    def _wait(self, task: StreamTask) -> None:
        if task.stream.chained is None:  # else others wait for it
            for throttle in self._throttles:
                throttle.wait(task)

    def _is_wanted(self, task: StreamTask) -> bool:
        if task.stream.chained is not None:
            # Once, for all that the streams before it may be catching up with themselves.
            return task.stream.chained.is_behind and not self._downstream_catch_up.is_before(task)
        there = self._rows_available.of(task)
        if self._available_now or is_read(task, self._tasks):
            # It is planned beside the first batch of the stream before it; and a run that ends by
            # itself ends a batch that was written and not committed.
            return there > 0
        # Nobody waits for the last stream: it is planned after the first batches of the others.
        return there != task.rows_in and self._first_batch_order.is_turn(task)

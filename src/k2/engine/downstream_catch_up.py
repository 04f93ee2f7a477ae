"""The stream at the head of a chain waits while downstream streams catch up with their own queries."""

import time
from collections.abc import Sequence

from k2.engine.batch_throttle import BatchThrottle
from k2.engine.stream_task import StreamTask, tasks_before

_MAX_WAIT_SECONDS = 60.0  # a batch, so that what never ends holds nothing back for ever


class DownstreamCatchUp(BatchThrottle):
    """Holds back batches that could not be passed downstream in memory yet.

    While a chained stream's own query runs, the stream receives nothing in memory, and each batch that it
    misses is more work for that query. Holding batches back gives it the time to catch up.
    """

    def __init__(self, tasks: Sequence[StreamTask]) -> None:
        """Watch the streams of ``tasks``."""
        super().__init__()
        self._tasks = tasks

    def wait(self, task: StreamTask) -> None:
        """Wait, in the thread of a stream's batch, until those downstream have caught up."""
        downstream = [other for other in self._tasks if self._comes_before(task, other)]
        self.hold(
            lambda: any(map(_is_catching_up, downstream)), time.monotonic() + _MAX_WAIT_SECONDS
        )

    def is_before(self, task: StreamTask) -> bool:
        """Tell whether a stream upstream of this one is catching up."""
        return any(map(_is_catching_up, tasks_before(task, self._tasks)))

    def _comes_before(self, task: StreamTask, other: StreamTask) -> bool:
        return any(before is task for before in tasks_before(other, self._tasks))


def _is_catching_up(task: StreamTask) -> bool:
    # One that fails again and again holds nobody back.
    runs = task.starting is not None or task.running is not None
    return task.stream.chained is not None and runs and task.status.error is None

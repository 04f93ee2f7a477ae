"""Order the first batches of a run: every stream gets its first batch before any gets its second."""

import time
from collections.abc import Sequence

from k2.engine.batch_throttle import BatchThrottle
from k2.engine.rows_available import RowsAvailable
from k2.engine.stream_task import StreamTask, tasks_before
from k2.errors import K2Error

_MAX_WAIT_SECONDS = 60.0  # from the start of the streams


class FirstBatchOrder(BatchThrottle):
    """Holds back second batches while another stream's first batch is due, and first batches out of order.

    In a new JVM a batch of any stream takes the cores for a second. Bronze, which has one due every
    second, so kept its own rows from Silver and Gold for half a minute.
    """

    def __init__(self, tasks: Sequence[StreamTask], rows_available: RowsAvailable) -> None:
        """Order the first batches of the streams of ``tasks``; none waits for a stream that is not critical."""
        super().__init__()
        self._tasks = [task for task in tasks if task.stream.is_critical]
        self._rows_available = rows_available
        self._until = time.monotonic() + _MAX_WAIT_SECONDS

    def wait(self, task: StreamTask) -> None:
        """Wait, in the thread of a stream's batch, until it may begin."""
        self.hold(lambda: not self.is_turn(task), self._until)

    def is_turn(self, task: StreamTask) -> bool:
        """Tell whether a stream's next batch may begin: no first batch that comes before it is due."""
        # The time first: to look whether a stream is due may ask Kafka, which no later batch pays for.
        if time.monotonic() >= self._until or self.is_over:
            return True
        first = task.status.batches == 0
        before = tasks_before(task, self._tasks) if first else self._tasks
        return not any(map(self._is_due, before))

    def _is_due(self, task: StreamTask) -> bool:
        if task.done or task.is_paused or task.status.batches:
            return False
        try:
            return self._rows_available.of(task) != task.rows_in
        except K2Error:  # Kafka does not answer: nobody waits for it
            return False

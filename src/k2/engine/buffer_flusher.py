"""Write buffered batches when they are due, in a thread: no further batch may arrive that could do it."""

from collections.abc import Callable, Sequence

import structlog

from k2.engine.processor import BatchResult
from k2.engine.stream_task import StreamTask
from k2.periodic import PeriodicTask

log = structlog.get_logger("k2.engine")

_LOOK_SECONDS = 0.5


class BufferFlusher:
    """Flushes the buffers among the streams of ``tasks``."""

    def __init__(
        self, tasks: Sequence[StreamTask], on_result: Callable[[StreamTask, BatchResult], None]
    ) -> None:
        """Call ``on_result`` with every batch's result, in the thread that wrote it."""
        self._tasks = [task for task in tasks if task.stream.buffer is not None]
        self._on_result = on_result
        self._thread = PeriodicTask("k2-buffers", _LOOK_SECONDS, self._flush_due)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and write all buffers, so that the next start has nothing to catch up with."""
        self._thread.stop()
        self.flush_all()

    def flush_all(self) -> None:
        """Write all buffers, due or not."""
        for task in self._tasks:
            self.flush(task)

    def flush(self, task: StreamTask) -> None:
        """Write what a stream has buffered, due or not."""
        if task.stream.buffer is None:
            return
        try:
            result = task.stream.buffer.flush()
        except Exception as error:
            # The stream is behind now: its own query will meet it, and say so.
            log.warning("not_written", job_name=task.stream.name, reason=str(error)[:200])
            return
        if result is not None:
            self._on_result(task, result)

    def _flush_due(self) -> None:
        for task in self._tasks:
            if task.stream.buffer is not None and task.stream.buffer.is_due:
                self.flush(task)

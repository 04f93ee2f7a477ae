"""Writes what streams collect, when it is due: by a thread, since no batch may come to do it."""

import threading
from collections.abc import Callable, Sequence

import structlog

from k2.engine.stream import BatchResult
from k2.engine.stream_task import StreamTask

log = structlog.get_logger("k2.engine")

_LOOK = 0.5  # seconds


class BufferFlusher:
    """Looks after the collectors among the streams of ``tasks``."""

    def __init__(
        self, tasks: Sequence[StreamTask], on_batch: Callable[[StreamTask, BatchResult], None]
    ) -> None:
        """Have ``on_batch`` told of every batch, in the thread that wrote it."""
        self._tasks = [task for task in tasks if task.stream.collector is not None]
        self._on_batch = on_batch
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="k2-collecting", daemon=True)

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, and write what is there: the next start then finds nothing left."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        for task in self._tasks:
            self.write(task)

    def write(self, task: StreamTask) -> None:
        """Write what a stream has collected, due or not."""
        if task.stream.collector is None:
            return
        try:
            report = task.stream.collector.write()
        except Exception as error:
            # It is left to the stream's own query, which will meet it, and say so.
            log.warning("not_written", job_name=task.stream.name, reason=str(error)[:200])
            return
        if report is not None:
            self._on_batch(task, report)

    def _run(self) -> None:
        while not self._ending.wait(_LOOK):
            for task in self._tasks:
                if task.stream.collector is not None and task.stream.collector.is_due:
                    self.write(task)

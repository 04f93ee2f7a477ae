"""Of a job that the engine has started twice, one start works at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from k2.jobs.job_run import StandStill
from k2.jobs.model import Wish

_LOOK_SECONDS = 0.25


class SingleStart:
    """The jobs that threads of this process are in.

    dbos lets the latest start of a workflow record results, and fences the one before it off at the end
    of the step in hand. Without a wait both would be in that step at once.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._jobs: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, job_id: str) -> Iterator[None]:
        """Wait until an earlier start of the job has left its step.

        Raises:
            StandStill: the process ends before it does.
        """
        while not self._enter(job_id):
            if self._stopping.wait(_LOOK_SECONDS):
                raise StandStill(Wish.RUN)
        try:
            yield
        finally:
            with self._lock:
                self._jobs.discard(job_id)

    def _enter(self, job_id: str) -> bool:
        with self._lock:
            is_free = job_id not in self._jobs
            self._jobs.add(job_id)
            return is_free

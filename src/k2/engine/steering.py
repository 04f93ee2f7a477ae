"""Pauses, resumes and restarts the streams of an engine as people want it.

What is wanted is kept outside (:class:`Control`) and read by a thread: where it cannot be read, it is
what it was.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from k2.engine.stream_task import StreamTask
from k2.engine.table_requests import Control, StreamWish
from k2.errors import K2Error
from k2.periodic import PeriodicTask, Trouble

log = structlog.get_logger("k2.engine")

_LOOK_SECONDS = 0.5
_NOTHING = StreamWish()


class Steering:
    """Steers the streams of ``tasks``; ``flush`` writes what one of them has buffered."""

    def __init__(
        self, tasks: Sequence[StreamTask], control: Control, flush: Callable[[StreamTask], None]
    ) -> None:
        self._tasks, self._control, self._flush = tasks, control, flush
        self._wishes: Mapping[str, StreamWish] = {}
        self._restarts: dict[str, int] = {}
        self._trouble = Trouble(log, "wishes_not_read")
        self._thread = PeriodicTask("k2-steering", _LOOK_SECONDS, self._look)

    def start(self) -> None:
        """Let streams that are to stand still not begin, and start to look."""
        self._look()
        for task in self._tasks:
            wish = self._wishes.get(task.stream.name, _NOTHING)
            self._restarts[task.stream.name] = wish.restarts  # those were of an earlier run
            self.holds(task)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._thread.stop()

    def holds(self, task: StreamTask) -> bool:
        """Do with a stream what is wanted, and tell whether it stands still; called by who watches it.

        One that is just starting is left to end that first.
        """
        if task.starting is None:
            self._steer(task)
        return task.is_paused

    def _steer(self, task: StreamTask) -> None:
        wish = self._wishes.get(task.stream.name, _NOTHING)
        if wish.is_paused:
            if not (task.is_paused or task.done):
                self._pause(task)
        elif task.is_paused:
            task.resume()
            log.info("stream_resumed", job_name=task.stream.name)
        elif (
            wish.restarts > self._restarts.get(task.stream.name, 0)
            # One that has ended for good begins anew.
            and (task.done or self._pause(task))
        ):
            self._restarts[task.stream.name] = wish.restarts
            task.resume()
            log.info("stream_restarted", job_name=task.stream.name)

    def _pause(self, task: StreamTask) -> bool:
        self._flush(task)
        if task.pause():
            log.info("stream_paused", job_name=task.stream.name)
        return task.is_paused

    def _look(self) -> None:
        try:
            self._wishes = self._control.wishes()
            self._trouble.is_over()
        except K2Error as error:
            self._trouble.is_there(error)

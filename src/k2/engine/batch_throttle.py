"""Hold batches back for a while, in the threads that run them."""

import threading
import time
from collections.abc import Callable

_LOOK_SECONDS = 0.2


class BatchThrottle:
    """Holds batches back until its reason is gone, or until :meth:`end` lets all of them run."""

    def __init__(self) -> None:
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether batches are no longer held back."""
        return self._over.is_set()

    def end(self) -> None:
        """Let every batch run from now on."""
        self._over.set()

    def hold(self, is_shut: Callable[[], bool], until: float) -> None:
        """Wait in this thread while ``is_shut`` says so, at most ``until`` (seconds, monotonic)."""
        while time.monotonic() < until and not self.is_over and is_shut():
            self._over.wait(_LOOK_SECONDS)

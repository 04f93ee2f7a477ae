"""Work that a thread does again and again until it is told to stop."""

import threading
from collections.abc import Callable
from typing import Self

from structlog.typing import FilteringBoundLogger


class PeriodicTask:
    """Calls ``work`` every ``seconds``, in a thread of its own; ``work`` handles its own errors.

    As a context manager it does so inside the block.
    """

    def __init__(
        self, name: str, seconds: float, work: Callable[[], object], starts_at_once: bool = False
    ) -> None:
        """Prepare it; ``starts_at_once`` calls ``work`` before the first pause, too."""
        self._seconds, self._work = seconds, work
        self._starts_at_once = starts_at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """End after the call in hand; wait for it, at most so many seconds. Again does nothing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def is_stopping(self) -> bool:
        """Whether it has been told to stop: long work ends early then."""
        return self._stopping.is_set()

    def _run(self) -> None:
        if self._starts_at_once and not self.is_stopping:
            self._work()
        while not self._stopping.wait(self._seconds):
            self._work()


class Trouble:
    """What keeps such work from being done: warned of once, and again when it is another."""

    def __init__(self, log: FilteringBoundLogger, event: str) -> None:
        self._log, self._event = log, event
        self._reason = ""

    def is_there(self, error: Exception) -> None:
        """Warn of it, unless that was done and it has not been over since."""
        if (reason := str(error)) != self._reason:
            self._log.warning(self._event, reason=reason)
        self._reason = reason

    def is_over(self) -> None:
        """Note that the work was done."""
        self._reason = ""

"""End a job under ``spark-submit`` within five seconds, whichever of its processes was killed.

Python is a child of Spark's JVM there, and its output goes through pipes that the JVM reads. When the
JVM is gone, writing to standard error raises or blocks, a call to the JVM may wait forever, and so may the
threads that an orderly shutdown waits for. Therefore a separate thread, which calls and writes nothing, ends
the process. The next start repeats the last batch, and the locks are free.
"""

import os
import select
import signal
import threading
import time
from contextlib import suppress

import psutil

from k2.home.process_life import is_alive

_ORDERLY_SECONDS = 3.0  # for streams to stop and the session to end; the JVM ends after that
_LOOK_SECONDS = 0.2
_EXIT_CODE = 1
_TELLING_TO_END = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class ProcessEnd:
    """Ends this process when its JVM is gone, or when an orderly shutdown takes too long."""

    def __init__(self, orderly_seconds: float = _ORDERLY_SECONDS) -> None:
        """Install the signal handlers. Create it in the main thread, as early as possible."""
        self._orderly_seconds = orderly_seconds
        self._jvm = _find_jvm()
        self._ends_at = float("inf")
        self._signals, written = os.pipe()
        for descriptor in (self._signals, written):
            os.set_blocking(descriptor, False)
        # Python runs a handler only when the main thread comes back from what it calls; the numbers
        # of signals are written here at once.
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)

    def watch(self) -> None:
        """Start the watching thread."""
        threading.Thread(target=self._watch, daemon=True, name="k2-process-end").start()

    def expect(self) -> None:
        """From now on make sure that the process ends in time, and its JVM with it."""
        self._ends_at = min(self._ends_at, time.monotonic() + self._orderly_seconds)

    def _watch(self) -> None:
        while True:
            if self._jvm is not None and not is_alive(self._jvm):
                os._exit(_EXIT_CODE)
            if time.monotonic() >= self._ends_at:
                self._kill()
            if select.select([self._signals], [], [], _LOOK_SECONDS)[0]:
                received = os.read(self._signals, 64)
                if _TELLING_TO_END.intersection(received):
                    self.expect()

    def _kill(self) -> None:
        if self._jvm is not None:
            with suppress(psutil.Error):
                self._jvm.kill()  # it may hang for what has held us up
        os._exit(_EXIT_CODE)


def _find_jvm() -> psutil.Process | None:
    """Return the JVM that runs this process: its parent, or that of the script which PYSPARK_PYTHON names.

    None without spark-submit: then the JVM is a child, and the parent a shell that may be closed.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return None
    with suppress(psutil.Error):
        above = psutil.Process().parents()
        return next((process for process in above if process.name() == "java"), None)
    return None

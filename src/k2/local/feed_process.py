"""The feed of a run: a process of its own that never outlives us."""

import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from k2.errors import FailedError, UnavailableError
from k2.home.tied_process import start_tied
from k2.settings import Settings

log = structlog.get_logger("k2.up")

_STOP_SECONDS = 15.0
_PAUSE_SECONDS = 5.0  # between the end of a live feed and its next start


class FeedProcess:
    """A feed by its command, such as ``simulate --rate 500/s``; it writes to ``feed.log``.

    A live feed (``feed run``) that is killed, or finds something away at its start, is started again; it goes
    on from the numbers that Kafka has.
    """

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        """Start it."""
        self._settings, self._command = settings, list(command)
        self._starts_again = self._command[:2] == ["feed", "run"]
        self._ended_at: float | None = None
        self.process = self._start()

    def look(self) -> None:
        """See that the feed runs, or has ended as it should; start it again where that helps.

        Raises:
            FailedError: it died; has its last words, if it had any.
        """
        if not (self._starts_again and _may_start_again(self.process.poll())):
            require_feed(self.process, self._settings)
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
            log.warning("feed_ended", exit_code=self.process.returncode)
        elif now - self._ended_at >= _PAUSE_SECONDS:
            self._ended_at = None
            self.process = self._start()

    @property
    def has_ended(self) -> bool:
        """Whether the feed has done what it was asked for, and ended by itself."""
        return self.process.poll() == 0

    def stop(self) -> None:
        """Ask the feed to send what it holds and end; a second call does nothing."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self._settings.logs / "feed.log").open("ab") as output:
            return start_tied(self._settings, self._command, output)


def _may_start_again(code: int | None) -> bool:
    if code is None or code == -signal.SIGTERM:
        return False
    return code < 0 or code == UnavailableError.exit_code


def require_feed(feed: "subprocess.Popen[bytes]", settings: Settings) -> None:
    """See that the feed runs, or has ended as it should.

    Raises:
        FailedError: it died; has its last words, if it had any.
    """
    if feed.poll() in (None, 0, -signal.SIGTERM):
        return
    log = settings.logs / "feed.log"
    last = ""
    with suppress(OSError):
        last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2][:300]
    words = f": {last}" if last else ""
    raise FailedError(f"The feed died (exit code {feed.returncode}){words} (see {log}).")

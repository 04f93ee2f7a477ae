"""The feed of a run: a process of its own that never outlives us."""

import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from k2.errors import FailedError
from k2.home.tied_process import start_tied
from k2.settings import Settings


def start_feed(settings: Settings, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a feed by its command, such as ``simulate --rate 500/s``; it writes to ``feed.log``."""
    with (settings.logs / "feed.log").open("ab") as output:
        return start_tied(settings, list(command), output)


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


def stop_feed(feed: "subprocess.Popen[bytes]") -> None:
    """Ask the feed to send what it holds and end; a second call does nothing."""
    if feed.poll() is None:
        feed.terminate()
        try:
            feed.wait(15)
        except subprocess.TimeoutExpired:
            feed.kill()
            feed.wait()

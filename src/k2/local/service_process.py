"""The jobs' service of a run: `k2 serve` as a child process that never outlives the run."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from k2.home.tied_process import start_tied
from k2.settings import Settings

_FIRST_PAUSE, _MAX_PAUSE = 2.0, 60.0  # seconds until it is started again
_STOP_SECONDS = 30.0
_WRONG_USE = 2  # exit code: it would say the same again


class ServiceProcess:
    """Starts the service and restarts it when it dies; the streams do not depend on it."""

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        """Describe it; ``tell`` is given a line when something is to be said."""
        self._settings, self._tell = settings, tell
        self._child: subprocess.Popen[bytes] | None = None
        self._pause, self._again_at = _FIRST_PAUSE, 0.0
        self._told = self._asked = False

    def start(self) -> None:
        """Start it; what becomes of it :meth:`look` sees."""
        (self._settings.run / "api.json").unlink(missing_ok=True)
        with (self._settings.logs / "service.log").open("ab") as output:
            self._child = start_tied(self._settings, ["serve"], output)

    def look(self) -> None:
        """Say once where it is; start it again if it has died."""
        if self._asked:
            return
        if self._child is None:
            if self._again_at and time.monotonic() >= self._again_at:
                self.start()
            return
        code = self._child.poll()
        if code is None:
            if not self._told and (url := api_url(self._settings)):
                self._told = True
                self._tell(f"Jobs and their API are at {url}.")
            return
        self._child = None
        words = self._last_words()
        if code == _WRONG_USE:
            self._again_at = 0.0
            self._tell(f"The jobs' service does not run: {words}")
            return
        self._again_at = time.monotonic() + self._pause
        self._tell(f"The jobs' service ended ({code}) and is started again: {words}")
        self._pause = min(self._pause * 2, _MAX_PAUSE)

    def ask_to_end(self) -> None:
        """Begin what :meth:`stop` waits for; it is not looked after any more."""
        if self._child is not None and self._child.poll() is None and not self._asked:
            self._asked = True  # a second signal would cut its end short
            self._child.terminate()

    def stop(self) -> None:
        """Let it end: jobs stop at their next step and go on at the next start."""
        self.ask_to_end()
        child, self._child, self._again_at = self._child, None, 0.0
        if child is not None and child.poll() is None:
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child is not None and child.stdin is not None:
            child.stdin.close()

    def _last_words(self) -> str:
        log = self._settings.logs / "service.log"
        with suppress(OSError):
            text = log.read_text(encoding="utf-8", errors="replace")
            lines = [line for line in text[-4_000:].splitlines() if line.startswith("k2: ")]
            if lines:
                return lines[-1].removeprefix("k2: ")
        return f"see {log}."


def api_url(settings: Settings) -> str | None:
    """Return where the API of this home listens, as the service noted it."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((settings.run / "api.json").read_text())["url"])
    return None

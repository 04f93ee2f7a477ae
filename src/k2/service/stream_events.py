"""Send events about streams (failed, recovered, and some commits) by the status that the streams write."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import structlog

from k2.errors import UnavailableError
from k2.jobs.database import Database
from k2.jobs.outbox import add_fact
from k2.observability.status import running
from k2.settings import Settings

log = structlog.get_logger("k2.events")

_LOOK_SECONDS = 1.0
COMMIT_SECONDS = 60.0  # of a stream's commits one in so long is told of
_FAILING = ("failed", "retrying")


@dataclass
class StreamEvents:
    """Looks at the streams of a home every second; they do not know of it."""

    settings: Settings
    database: Database
    _states: dict[str, str] = field(default_factory=dict)
    _told: dict[str, tuple[float, int]] = field(default_factory=dict)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to look."""
        self._thread = threading.Thread(target=self._watch, name="k2-stream-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def look_once(self, streams: list[dict[str, Any]], now: float) -> int:
        """Write the events of what is new in the streams' states; return how many."""
        found = [event for stream in streams for event in self._events_of(stream, now)]
        if found:
            with self.database.writing() as connection:
                for type_, stream in found:
                    facts = {
                        name: stream.get(name)
                        for name in ("state", "error", "batch_id", "rows", "restarts", "layer")
                    }
                    add_fact(connection, "streams", type_, str(stream["name"]), facts)
        return len(found)

    def _events_of(self, stream: dict[str, Any], now: float) -> list[tuple[str, dict[str, Any]]]:
        name, state = str(stream["name"]), str(stream["state"])
        before, self._states[name] = self._states.get(name), state
        found = []
        if state in _FAILING and before not in _FAILING:
            found.append(("io.k2.stream.failed", stream))
        if state == "running" and before in _FAILING:
            found.append(("io.k2.stream.recovered", stream))
        batch = int(stream.get("batch_id", -1))
        told_at, told = self._told.get(name, (now - COMMIT_SECONDS, -1))
        if batch > told and now - told_at >= COMMIT_SECONDS:
            self._told[name] = (now, batch)
            found.append(("io.k2.table.committed", stream))
        return found

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            try:
                self.look_once(running(self.settings)["streams"], time.monotonic())
            except UnavailableError as error:
                log.warning("stream_events_wait", reason=str(error))

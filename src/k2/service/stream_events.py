"""Send events about streams (failed, recovered, and some commits) by the status that the streams write."""

import time
from typing import Any

import structlog

from k2.errors import K2Error
from k2.jobs.database import Database
from k2.jobs.outbox import add_fact
from k2.observability.status import running
from k2.periodic import PeriodicTask, Trouble
from k2.settings import Settings

log = structlog.get_logger("k2.events")

_LOOK_SECONDS = 1.0
COMMIT_SECONDS = 60.0  # of a stream's commits one in so long is told of
_FAILING = ("failed", "retrying")


class StreamEvents:
    """Looks at the streams of a home every second; they do not know of it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Prepare it; nothing is looked at yet."""
        self._settings, self._database = settings, database
        self._states: dict[str, str] = {}
        self._told: dict[str, tuple[float, int]] = {}  # when, and of which batch
        self._trouble = Trouble(log, "stream_events_wait")
        self._thread = PeriodicTask("k2-stream-events", _LOOK_SECONDS, self._look)

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._thread.stop()

    def look_once(self, streams: list[dict[str, Any]], now: float) -> int:
        """Write the events of what is new in the streams' states; return how many.

        Raises:
            K2Error: the registry does not take them; the next look writes them.
        """
        states, told, found = dict(self._states), dict(self._told), []
        for stream in streams:
            name, state = str(stream["name"]), str(stream["state"])
            before, states[name] = states.get(name), state
            if state in _FAILING and before not in _FAILING:
                found.append(("io.k2.stream.failed", stream))
            if state == "running" and before in _FAILING:
                found.append(("io.k2.stream.recovered", stream))
            batch = int(stream.get("batch_id", -1))
            told_at, told_batch = told.get(name, (now - COMMIT_SECONDS, -1))
            if batch > told_batch and now - told_at >= COMMIT_SECONDS:
                told[name] = (now, batch)
                found.append(("io.k2.table.committed", stream))
        if found:
            self._write(found)
        self._states, self._told = states, told
        return len(found)

    def _write(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        with self._database.writing() as connection:
            for type_, stream in events:
                facts = {
                    name: stream.get(name)
                    for name in ("state", "error", "batch_id", "rows", "restarts", "layer")
                }
                add_fact(connection, "streams", type_, str(stream["name"]), facts)

    def _look(self) -> None:
        try:
            self.look_once(running(self._settings)["streams"], time.monotonic())
        except K2Error as error:
            self._trouble.is_there(error)
        else:
            self._trouble.is_over()

"""Execute requests to the streams of an engine, between their batches."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog

from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.stream_task import StreamTask
from k2.engine.streams_behind import mark_readers_behind
from k2.engine.table_owner import TableOwner
from k2.engine.table_requests import Request, answer, pending
from k2.errors import FailedError, K2Error, UnavailableError, first_line
from k2.periodic import PeriodicTask
from k2.settings import Settings

log = structlog.get_logger("k2.requests")

_MAX_OUTAGE_SECONDS = 60.0  # that an owner tries again what is unavailable


def request_server(
    tasks: Sequence[StreamTask], settings: Settings, schedule: MaintenanceSchedule | None = None
) -> "RequestServer":
    """Return the server of the requests to these streams, not started yet; the caller holds their locks."""

    def on_done(request: Request, result: Mapping[str, Any]) -> None:
        for task in tasks:
            if task.stream.name == request.stream:
                # By a replay: the streams downstream take them as any others.
                task.rows_out += result.get("trades", 0)
                mark_readers_behind(task, tasks)

    owners: dict[str, TableOwner] = {}
    server = RequestServer(settings, owners, on_done, schedule)
    for task in tasks:
        owners[task.stream.name] = TableOwner(
            task.stream, settings, partial(_exclusive, task), lambda: not server.is_stopping
        )
    return server


class RequestServer:
    """A thread that executes requests to the streams whose tables this process owns."""

    def __init__(
        self,
        settings: Settings,
        owners: Mapping[str, TableOwner],
        on_done: Callable[[Request, dict[str, Any]], None],
        schedule: MaintenanceSchedule | None = None,
        interval_seconds: float = 0.5,
    ) -> None:
        self._settings = settings
        self._owners = owners
        self._on_done = on_done
        self._schedule = schedule
        self._first_tried: dict[str, float] = {}
        self._thread = PeriodicTask("k2-requests", interval_seconds, self._serve)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current step; the rest of a request waits for the next owner."""
        self._thread.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether the server has been told to stop."""
        return self._thread.is_stopping

    def serve_once(self) -> None:
        """Execute the requests that are there."""
        for request in pending(self._settings, self._owners.keys()):
            if not self.is_stopping:
                self._execute(request)

    def look_after(self, schedule: MaintenanceSchedule) -> None:
        """Maintain the tables of the one stream that is due; what fails is tried again next time."""
        request = schedule.next_request(list(self._owners))
        if request is None or self.is_stopping:
            return
        try:
            result = self._owners[request.stream].execute(request)
        except Exception as error:  # the streams go on, and files wait
            reason = f"{type(error).__name__}: {first_line(str(error))}"
            log.warning("maintenance_failed", job_name=request.stream, reason=reason)
            return
        if result is not None:
            deleted = sum(facts["files_deleted"] for facts in result.values())
            compacted = sum(facts["partitions_compacted"] for facts in result.values())
            log.info(
                "maintenance_done", job_name=request.stream, files=deleted, partitions=compacted
            )
            self._on_done(request, result)

    def _serve(self) -> None:
        self.serve_once()
        if self._schedule is not None:
            self.look_after(self._schedule)

    def _execute(self, request: Request) -> None:
        try:
            result = self._owners[request.stream].execute(request)
        except UnavailableError as error:
            since = self._first_tried.setdefault(request.id, time.monotonic())
            if time.monotonic() - since > _MAX_OUTAGE_SECONDS:
                answer(self._settings, request, error)
            return
        except K2Error as error:
            answer(self._settings, request, error)
            return
        except Exception as error:  # who asked waits: whatever it is, it is the answer
            log.error(
                "request_failed", kind=request.kind, job_name=request.stream, reason=repr(error)
            )
            text = f"{request.kind} on {request.stream} failed: {type(error).__name__}: {error}"
            answer(self._settings, request, FailedError(text.splitlines()[0]))
            return
        if result is not None:
            log.info("request_done", kind=request.kind, job_name=request.stream, id=request.id)
            self._on_done(request, result)
            answer(self._settings, request, result)


@contextmanager
def _exclusive(task: StreamTask) -> Iterator[None]:
    """Keep the stream's batches out; resources that stay open between batches are opened again afterwards."""
    with task.stream.mutex:
        task.close_resources()
        yield

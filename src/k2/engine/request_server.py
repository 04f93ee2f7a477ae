"""Execute requests to the streams of an engine, between their batches."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol

import structlog

from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.stream_task import StreamTask
from k2.engine.streams_behind import mark_readers_behind
from k2.engine.table_owner import TableOwner
from k2.engine.table_requests import Control, Request
from k2.errors import FailedError, K2Error, UnavailableError, first_line
from k2.periodic import PeriodicTask, Trouble
from k2.settings import Settings

log = structlog.get_logger("k2.requests")

_LOOK_SECONDS = 0.5
_WANTED_SECONDS = 1.0  # between two looks whether somebody still waits
_MAX_OUTAGE_SECONDS = 60.0  # that an owner tries again what is unavailable

ShouldContinue = Callable[[], bool]


class Owner(Protocol):
    """Who owns a stream's tables (:class:`k2.engine.table_owner.TableOwner`)."""

    def execute(
        self, request: Request, should_continue: ShouldContinue = ...
    ) -> dict[str, Any] | None:
        """Do what is asked; None when it should not continue and the rest is left."""


def request_server(
    tasks: Sequence[StreamTask],
    settings: Settings,
    control: Control,
    schedule: MaintenanceSchedule | None = None,
) -> "RequestServer":
    """Return the server of the requests to these streams, not started yet; the caller holds their locks."""

    def on_done(request: Request, result: Mapping[str, Any]) -> None:
        # By a replay: the streams downstream take them as any others.
        added = result.get("trades", 0)
        for task in tasks:
            if added and task.stream.name == request.stream:
                task.rows_out += added
                mark_readers_behind(task, tasks)

    owners = {
        task.stream.name: TableOwner(task.stream, settings, partial(_exclusive, task))
        for task in tasks
    }
    return RequestServer(control, owners, on_done, schedule)


class RequestServer:
    """A thread that executes requests to the streams whose tables this process owns."""

    def __init__(
        self,
        control: Control,
        owners: Mapping[str, Owner],
        on_done: Callable[[Request, dict[str, Any]], None],
        schedule: MaintenanceSchedule | None = None,
        interval_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._control = control
        self._owners = owners
        self._on_done = on_done
        self._schedule = schedule
        self._trouble = Trouble(log, "requests_wait")
        self._first_tried: dict[str, float] = {}
        self._unsent: dict[str, Mapping[str, Any] | K2Error] = {}  # answers, by request
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
        """Execute what is there.

        Raises:
            K2Error: it cannot be asked what there is; requests wait, and streams go on.
        """
        for request in self._control.pending(self._owners.keys()):
            if not self.is_stopping and self._control.begin(request):
                try:
                    self._execute(request)
                finally:
                    self._control.put_back(request)

    def look_after(self, schedule: MaintenanceSchedule) -> None:
        """Maintain the tables of the one stream that is due; what fails is tried again next time."""
        request = schedule.next_request(list(self._owners))
        if request is None or self.is_stopping:
            return
        try:
            result = self._owners[request.stream].execute(request, lambda: not self.is_stopping)
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
        try:
            self.serve_once()
            self._trouble.is_over()
        except K2Error as error:
            self._trouble.is_there(error)
        if self._schedule is not None:
            self.look_after(self._schedule)

    def _execute(self, request: Request) -> None:
        if (said := self._unsent.get(request.id)) is not None:
            self._answer(request, said)
            return
        try:
            result = self._owners[request.stream].execute(request, self._until_unwanted(request))
        except UnavailableError as error:
            since = self._first_tried.setdefault(request.id, time.monotonic())
            if time.monotonic() - since > _MAX_OUTAGE_SECONDS:
                self._answer(request, error)
            return
        except K2Error as error:
            self._answer(request, error)
            return
        except Exception as error:  # who asked waits: whatever it is, it is the answer
            log.error(
                "request_failed", kind=request.kind, job_name=request.stream, reason=repr(error)
            )
            text = f"{request.kind} on {request.stream} failed: {type(error).__name__}: {error}"
            self._answer(request, FailedError(text.splitlines()[0]))
            return
        if result is not None:
            log.info("request_done", kind=request.kind, job_name=request.stream, id=request.id)
            self._on_done(request, result)
            self._answer(request, result)

    def _answer(self, request: Request, said: Mapping[str, Any] | K2Error) -> None:
        self._first_tried.pop(request.id, None)
        self._unsent[request.id] = said
        self._control.answer(request, said)
        del self._unsent[request.id]

    def _until_unwanted(self, request: Request) -> ShouldContinue:
        """Return whether to go on: not when this process ends, or nobody waits any more."""
        looked, is_wanted = time.monotonic(), True

        def should_continue() -> bool:
            nonlocal looked, is_wanted
            if time.monotonic() - looked >= _WANTED_SECONDS:
                looked = time.monotonic()
                with suppress(UnavailableError):  # then it is what it was
                    is_wanted = self._control.is_wanted(request)
            return is_wanted and not self.is_stopping

        return should_continue


@contextmanager
def _exclusive(task: StreamTask) -> Iterator[None]:
    """Keep the stream's batches out; resources that stay open between batches are opened again afterwards."""
    with task.stream.mutex:
        task.close_resources()
        yield

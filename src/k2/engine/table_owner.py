"""Whoever holds a stream's tables, and what can be asked of them."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.stream import Stream, reserved
from k2.engine.table_maintenance import maintain
from k2.engine.table_requests import (
    MAINTAIN,
    REPLAY,
    VERSIONS,
    Request,
    answer,
    answered,
    delete_request,
    pending,
    submit,
)
from k2.errors import ConfigError, FailedError, InUseError, K2Error, UnavailableError, first_line
from k2.settings import Settings
from k2.silver.dead_letters.replay import ExclusiveSection
from k2.storage.delta import ensure_table, open_table

log = structlog.get_logger("k2.requests")

_PATIENCE = 60.0  # seconds that a holder tries again what is unavailable


@dataclass(frozen=True)
class TableOwner:
    """A process that holds the stream's tables.

    ``exclusive_section`` keeps batches out meanwhile; ``should_continue`` says no when the process is about to end.
    """

    stream: Stream
    settings: Settings
    exclusive_section: ExclusiveSection = nullcontext
    should_continue: Callable[[], bool] = lambda: True

    def execute(self, request: Request) -> dict[str, Any] | None:
        """Do what is asked; None when the process was about to end and the rest is left.

        Raises:
            K2Error: it could not be done.
        """
        stream, settings = self.stream, self.settings
        own = (*stream.tables, *stream.audit_tables)
        for table in (*stream.reads, *own):
            ensure_table(settings.lake, table)
        if request.kind == VERSIONS:
            with self.exclusive_section():
                stored = {table.name: open_table(settings.lake, table) for table in own}
                return {name: table.version() for name, table in stored.items() if table}
        if request.kind == MAINTAIN:
            return maintain(
                stream,
                settings,
                self.exclusive_section,
                self.should_continue,
                consumers=request.options.get("readers", {}),
                dry_run=bool(request.options.get("dry_run")),
            )
        if request.kind == REPLAY and stream.dead_letter_replay is not None:
            reason = request.options.get("reason")
            replayed = stream.dead_letter_replay.replay(
                request.id, reason, self.exclusive_section, self.should_continue
            )
            if replayed is None:
                return None
            return asdict(replayed) | {"unresolved": replayed.unresolved}
        raise ConfigError(f"Nobody can ask {request.kind!r} of stream {stream.name}.")


def execute_on_owner(request: Request, stream: Stream, settings: Settings) -> dict[str, Any]:
    """Have a request carried out, by whoever holds the stream's tables or else here.

    An interrupted call leaves its request: what was begun is ended by the next holder.

    Raises:
        K2Error: it could not be done.
    """
    submit(settings, request)
    try:
        result = _outcome(request, stream, settings)
    except K2Error:
        delete_request(settings, request)
        raise
    delete_request(settings, request)
    return result


def _outcome(request: Request, stream: Stream, settings: Settings) -> dict[str, Any]:
    while (result := answered(settings, request)) is None:
        with ExitStack() as held:
            try:
                held.enter_context(reserved(stream, settings))
            except InUseError:
                time.sleep(0.2)
                continue
            # Its last holder may have answered just before it let go.
            if (result := answered(settings, request)) is None:
                result = TableOwner(stream, settings).execute(request) or {}
            break
    return result


class RequestServer:
    """A thread that carries out the requests to the streams that this process holds."""

    def __init__(
        self,
        settings: Settings,
        owners: Mapping[str, TableOwner],
        on_done: Callable[[Request, dict[str, Any]], None],
        schedule: MaintenanceSchedule | None = None,
        interval: float = 0.5,
    ) -> None:
        self._settings = settings
        self._holders = owners
        self._on_done = on_done
        self._schedule = schedule
        self._interval = interval
        self._first_tried: dict[str, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="k2-requests", daemon=True)

    def start(self) -> None:
        """Start to look for requests."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand; what is left of a request waits for the next holder."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def ending(self) -> bool:
        """Whether the server has been told to stop."""
        return self._ending.is_set()

    def serve_once(self) -> None:
        """Carry out what is there."""
        for request in pending(self._settings, self._holders.keys()):
            if not self.ending:
                self._execute(request)

    def look_after(self, schedule: MaintenanceSchedule) -> None:
        """Maintain the tables that are due, of one stream; what fails is tried again next time."""
        request = schedule.next_request(list(self._holders))
        if request is None or self.ending:
            return
        try:
            result = self._holders[request.stream].execute(request)
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
        while not self._ending.wait(self._interval):
            self.serve_once()
            if self._schedule is not None:
                self.look_after(self._schedule)

    def _execute(self, request: Request) -> None:
        try:
            result = self._holders[request.stream].execute(request)
        except UnavailableError as error:
            since = self._first_tried.setdefault(request.id, time.monotonic())
            if time.monotonic() - since > _PATIENCE:
                answer(self._settings, request, error)
            return
        except K2Error as error:
            answer(self._settings, request, error)
            return
        except Exception as error:  # the asker waits: whatever it is, it is the answer
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

"""The process that owns a stream's tables, and the requests that it executes for others."""

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from k2.engine.stream import Stream, reserved
from k2.engine.table_maintenance import maintain
from k2.engine.table_requests import (
    MAINTAIN,
    VERSIONS,
    ExclusiveSection,
    Request,
    answered,
    delete_request,
    submit,
)
from k2.errors import ConfigError, InUseError, K2Error
from k2.settings import Settings
from k2.storage.delta import ensure_table, open_table

_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class TableOwner:
    """A process that owns a stream's tables.

    ``exclusive_section`` keeps the stream's batches out; ``should_continue`` says no when the process is
    about to end.
    """

    stream: Stream
    settings: Settings
    exclusive_section: ExclusiveSection = nullcontext
    should_continue: Callable[[], bool] = lambda: True

    def execute(self, request: Request) -> dict[str, Any] | None:
        """Execute a request; None when the process is about to end and part of the request remains.

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
        if (handle := stream.requests.get(request.kind)) is not None:
            return handle(request, self.exclusive_section, self.should_continue)
        raise ConfigError(f"Nobody can ask {request.kind!r} of stream {stream.name}.")


def execute_on_owner(
    request: Request,
    stream: Stream,
    settings: Settings,
    should_continue: Callable[[], bool] = lambda: True,
) -> dict[str, Any] | None:
    """Have a request executed by the process that owns the stream's tables, or by this one if none does.

    An interrupted call leaves its request behind, and the next owner executes the rest. The same holds when
    ``should_continue`` ends the call, which then returns None; the same request goes on with it later.

    Raises:
        K2Error: it could not be done.
    """
    submit(settings, request)
    try:
        result = _outcome(request, stream, settings, should_continue)
    except K2Error:
        delete_request(settings, request)
        raise
    if result is not None:
        delete_request(settings, request)
    return result


def _outcome(
    request: Request, stream: Stream, settings: Settings, should_continue: Callable[[], bool]
) -> dict[str, Any] | None:
    while (result := answered(settings, request)) is None and should_continue():
        with ExitStack() as held:
            try:
                held.enter_context(reserved(stream, settings))
            except InUseError:
                time.sleep(_LOOK_SECONDS)
                continue
            # Its last owner may have answered just before it released the locks.
            if (result := answered(settings, request)) is None:
                result = TableOwner(stream, settings, should_continue=should_continue).execute(
                    request
                )
            break
    return result

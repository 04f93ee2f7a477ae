"""The process that owns a stream's tables, and the requests that it executes for others."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from k2.engine.stream import Stream
from k2.engine.table_maintenance import maintain
from k2.engine.table_requests import MAINTAIN, VERSIONS, ExclusiveSection, Request
from k2.errors import ConfigError
from k2.settings import Settings
from k2.storage.delta import ensure_table, open_table


@dataclass(frozen=True)
class TableOwner:
    """A process that owns a stream's tables; ``exclusive_section`` keeps the stream's batches out."""

    stream: Stream
    settings: Settings
    exclusive_section: ExclusiveSection = nullcontext

    def execute(
        self, request: Request, should_continue: Callable[[], bool] = lambda: True
    ) -> dict[str, Any] | None:
        """Do what is asked; None when ``should_continue`` said no and the rest is left.

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
                should_continue,
                consumers=request.options.get("readers", {}),
                dry_run=bool(request.options.get("dry_run")),
            )
        if (handle := stream.requests.get(request.kind)) is not None:
            return handle(request, self.exclusive_section, should_continue)
        raise ConfigError(f"Nobody can ask {request.kind!r} of stream {stream.name}.")

"""Requests to the streams of an engine, carried out between their batches."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from k2.engine.maintenance_schedule import MaintenanceSchedule
from k2.engine.stream_task import StreamTask
from k2.engine.streams_behind import mark_readers_behind
from k2.engine.table_owner import RequestServer, TableOwner
from k2.engine.table_requests import Request
from k2.settings import Settings


def request_server(
    tasks: Sequence[StreamTask], settings: Settings, schedule: MaintenanceSchedule | None = None
) -> RequestServer:
    """Return the server of the requests to these streams, which are reserved; it is not started."""

    def carried_out(request: Request, result: Mapping[str, Any]) -> None:
        for task in tasks:
            if task.stream.name == request.stream:
                task.rows_out += result.get(
                    "trades", 0
                )  # by a replay: Gold takes them as any others
                mark_readers_behind(task, tasks)

    owners: dict[str, TableOwner] = {}
    server = RequestServer(settings, owners, carried_out, schedule)
    for task in tasks:
        owners[task.stream.name] = TableOwner(
            task.stream, settings, partial(_turn, task), lambda: not server.ending
        )
    return server


@contextmanager
def _turn(task: StreamTask) -> Iterator[None]:
    """Keep the stream's batches out; what they hold open is opened anew after."""
    with task.stream.mutex:
        task.close_resources()
        yield

"""Requests to the streams of an engine, carried out between their batches."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from k2.engine.stream_task import Slot
from k2.engine.streams_behind import leave_to_readers
from k2.engine.table_owner import Holder, RequestServer
from k2.engine.table_requests import Request
from k2.settings import Settings


def request_server(slots: Sequence[Slot], settings: Settings) -> RequestServer:
    """Return the server of the requests to these streams, which are reserved; it is not started."""

    def carried_out(request: Request, result: Mapping[str, Any]) -> None:
        for slot in slots:
            if slot.stream.name == request.stream:
                slot.given += result.get("trades", 0)  # by a replay: Gold takes them as any others
                leave_to_readers(slot, slots)

    holders: dict[str, Holder] = {}
    server = RequestServer(settings, holders, carried_out)
    for slot in slots:
        holders[slot.stream.name] = Holder(
            slot.stream, settings, partial(_turn, slot), lambda: not server.ending
        )
    return server


@contextmanager
def _turn(slot: Slot) -> Iterator[None]:
    """Keep the stream's batches out; what they hold open is opened anew after."""
    with slot.stream.mutex:
        slot.let_go()
        yield

"""How jobs and people reach the streams of a process: through the registry, where there is one.

The registry's library is loaded once there is a registry: streams alone do without.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from k2.engine.table_requests import Request, StreamWish
from k2.errors import K2Error, UnavailableError
from k2.jobs.database import Database
from k2.settings import Settings

if TYPE_CHECKING:
    from k2.jobs.stream_wishes import StreamWishes
    from k2.jobs.table_requests import TableRequests


class StreamControl:
    """A :class:`k2.engine.table_requests.Control` over the registry of a home."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._database = Database(settings)
        self._tables: tuple[StreamWishes, TableRequests] | None = None

    def wishes(self) -> Mapping[str, StreamWish]:
        """Return what is wanted of streams."""
        tables = self._open()
        return {} if tables is None else tables[0].all()

    def pending(self, streams: Collection[str]) -> list[Request]:
        """Return the requests to these streams that have no answer, oldest first."""
        tables = self._open()
        return [] if tables is None else tables[1].pending(streams)

    def begin(self, request: Request) -> bool:
        """Note that a request is being executed; False where nobody wants it any more."""
        return self._requests().begin(request)

    def is_wanted(self, request: Request) -> bool:
        """Tell whether somebody still waits for a request's answer."""
        return self._requests().is_wanted(request)

    def answer(self, request: Request, said: Mapping[str, Any] | K2Error) -> None:
        """Leave the answer."""
        self._requests().answer(request, said)

    def put_back(self, request: Request) -> None:
        """Note that a request is not being executed any more."""
        self._requests().put_back(request)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _requests(self) -> "TableRequests":
        tables = self._open()
        if tables is None:
            raise UnavailableError("The jobs' registry is gone, and with it the request.")
        return tables[1]

    def _open(self) -> "tuple[StreamWishes, TableRequests] | None":
        if self._tables is None and self._database.exists():
            from k2.jobs.stream_wishes import StreamWishes
            from k2.jobs.table_requests import TableRequests

            database = self._database
            self._tables = StreamWishes(database), TableRequests(database)
        return self._tables

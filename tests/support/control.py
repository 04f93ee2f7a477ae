"""Requests and wishes in memory, for streams whose control is no registry."""

from collections.abc import Collection, Mapping
from typing import Any

from k2.engine.table_requests import Request, StreamWish
from k2.errors import K2Error


class MemoryControl:
    """Does as a registry does; ``down`` is raised at every call once it is set."""

    def __init__(self, *requests: Request) -> None:
        self.requests = {request.id: request for request in requests}
        self.answers: dict[str, Any] = {}
        self.begun: list[str] = []
        self.unwanted: set[str] = set()
        self.wanted: dict[str, StreamWish] = {}
        self.down: K2Error | None = None

    def wishes(self) -> Mapping[str, StreamWish]:
        """Return what is wanted."""
        self._refuse()
        return dict(self.wanted)

    def pending(self, streams: Collection[str]) -> list[Request]:
        """Return the unanswered ones."""
        self._refuse()
        return [
            request
            for id_, request in self.requests.items()
            if id_ not in self.answers and request.stream in streams
        ]

    def begin(self, request: Request) -> bool:
        """Note that it is in work."""
        self._refuse()
        self.begun.append(request.id)
        return request.id not in self.unwanted

    def is_wanted(self, request: Request) -> bool:
        """Tell whether somebody waits."""
        self._refuse()
        return request.id not in self.unwanted

    def answer(self, request: Request, said: Mapping[str, Any] | K2Error) -> None:
        """Keep the answer."""
        self._refuse()
        self.answers[request.id] = said

    def put_back(self, request: Request) -> None:
        """Note that it is not in work."""
        self._refuse()
        self.begun.remove(request.id)

    def _refuse(self) -> None:
        if self.down is not None:
            raise self.down

"""What a local service is: how it is started, and how to tell that it answers."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol


class Service(Protocol):
    """A program that runs beside K2."""

    @property
    def name(self) -> str:
        """Name of its log and record files."""
        ...

    @property
    def title(self) -> str:
        """Name in sentences."""
        ...

    @property
    def port(self) -> int:
        """The loopback port it listens on."""
        ...

    @property
    def folder(self) -> Path:
        """Where it runs and keeps its data."""
        ...

    @property
    def marker(self) -> str:
        """The argument that tells its process from any other."""
        ...

    def prepare(self) -> None:
        """Write what it needs on disk before it starts."""
        ...

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        ...

    def ready(self) -> bool:
        """Tell whether it does its work now, within a second or so."""
        ...


class Health(NamedTuple):
    """State of one service."""

    alive: bool
    ready: bool


class Endpoints(NamedTuple):
    """Where the local services listen."""

    kafka: str
    registry: str


def answers(url: str) -> bool:
    """Tell whether a service of this machine answers a GET of ``url`` with 200, within a second."""
    import httpx

    # A proxy of the environment is not for this machine itself, and certificates are for HTTPS:
    # to load them costs 50 ms, at every look.
    with (
        suppress(httpx.HTTPError),
        httpx.Client(trust_env=False, verify=False, timeout=1.0) as client,  # noqa: S501
    ):
        return client.get(url).status_code == httpx.codes.OK
    return False

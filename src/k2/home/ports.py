"""Loopback ports for the local services."""

import contextlib
import random
import socket

import psutil

from k2.errors import InUseError, UnavailableError

LOOPBACK = "127.0.0.1"

# Below what systems give to outgoing connections, so that a service that was killed finds its
# port free again.
_FREE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        # As servers do: the leftovers of closed connections do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    for port in random.sample(_FREE, 100):
        if is_free(port):
            return port
    raise UnavailableError(f"No free port found between {_FREE.start} and {_FREE.stop}.")


def claimed(port: int, service: str, setting: str) -> int:
    """Return the port asked for, or a free one for 0.

    Raises:
        InUseError: somebody listens on it; says who when the system tells.
    """
    if port == 0:
        return free_port()
    if not is_free(port):
        raise InUseError(
            f"Port {port} for {service} is taken{_by(port)}. "
            f"Stop what holds it, or set {setting} to another port (0 takes a free one)."
        )
    return port


def port_owner(port: int) -> str | None:
    """Return name and number of the process that listens on a port, when the system tells."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and getattr(connection.laddr, "port", None) == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return None


def _by(port: int) -> str:
    found = port_owner(port)
    return f" by {found}" if found else ""

"""Serve metrics over HTTP: one server for each stream, always on the same port."""

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from threading import Thread
from wsgiref.simple_server import WSGIServer

import psutil
from prometheus_client import CollectorRegistry, start_http_server

from k2.errors import ConfigError, InUseError
from k2.settings import Settings


class MetricsServer:
    """A running server."""

    def __init__(self, server: WSGIServer, thread: Thread) -> None:
        """Take over a server and its thread."""
        self._server, self._thread = server, thread
        self.port: int = server.server_port

    def close(self) -> None:
        """Stop listening; a second call does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def serve(registry: CollectorRegistry, host: str, port: int) -> MetricsServer:
    """Serve a registry at ``http://host:port/metrics``; port 0 takes a free one.

    Raises:
        InUseError: somebody listens on the port; says who when the system tells.
        ConfigError: the address is not one of this machine.
    """
    try:
        return MetricsServer(*start_http_server(port, addr=host, registry=registry))
    except OSError as error:
        raise _refused(error, host, port) from error


def check_ports(settings: Settings, ports: Iterable[int]) -> None:
    """Check that ports are free, before anything is started that would need them later.

    Raises:
        InUseError: somebody listens on a port; says who when the system tells.
        ConfigError: the address is not one of this machine.
    """
    host = settings.bind_host
    for port in ports:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # As servers do: the leftovers of closed connections do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
            except OSError as error:
                raise _refused(error, host, port) from error


def _refused(error: OSError, host: str, port: int) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        by = f" by {found}" if (found := _holder(port)) else ""
        return InUseError(
            f"Port {port} for metrics is taken{by}. Stop what holds it, or set K2_METRICS_PORT "
            "to the first of another row of ports (0 takes free ones)."
        )
    return ConfigError(
        f"Metrics cannot listen on {host}:{port}: {error.strerror}. Check K2_BIND_HOST and "
        "K2_METRICS_PORT."
    )


def _holder(port: int) -> str | None:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and getattr(connection.laddr, "port", None) == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return None

"""Where metrics are read: an HTTP server a stream, each on the port that is always its own."""

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from threading import Thread
from wsgiref.simple_server import WSGIServer

import psutil
from prometheus_client import CollectorRegistry, start_http_server

from k2.bars.table import BARS
from k2.errors import ConfigError, InUseError
from k2.exchanges import EXCHANGES, Exchange
from k2.settings import Settings
from k2.storage.table import Layer

_OLDEST = 2  # exchanges whose ports were given before there were others
_JOBS = "jobs"
_BARS_PLACE = 20


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


def check_ports(settings: Settings, streams: Iterable[str]) -> None:
    """Refuse to begin what would find no port in the end.

    Raises:
        InUseError: somebody listens on a stream's port; says who when the system tells.
        ConfigError: the address is not one of this machine.
    """
    host = settings.bind_host
    for stream in streams:
        port = port_of(stream, settings.metrics_port)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # As servers do: the leftovers of closed connections do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
            except OSError as error:
                raise _refused(error, host, port) from error


def stream_names(exchanges: Iterable[Exchange] = EXCHANGES) -> list[str]:
    """Return all streams, from Bronze to Gold and its bars."""
    pairs = [(layer, exchange) for layer in (Layer.BRONZE, Layer.SILVER) for exchange in exchanges]
    return [*(f"{layer}-{exchange.name}" for layer, exchange in pairs), str(Layer.GOLD), BARS]


def port_of(stream: str, first: int, exchanges: Iterable[Exchange] = EXCHANGES) -> int:
    """Return a stream's port, in a row from ``first``; 0 stays 0.

    Bronze and Silver of the first two exchanges, Gold, the jobs, then Bronze and Silver of each
    further exchange: one more moves nobody's port. The stream of bars is 20 after the first.
    """
    if not first:
        return 0
    if stream == BARS:
        return first + _BARS_PLACE
    names = [exchange.name for exchange in exchanges]
    pair = (Layer.BRONZE, Layer.SILVER)
    oldest = [f"{layer}-{name}" for layer in pair for name in names[:_OLDEST]]
    further = [f"{layer}-{name}" for name in names[_OLDEST:] for layer in pair]
    return first + [*oldest, str(Layer.GOLD), _JOBS, *further].index(stream)


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

"""What people want of streams, as rows of the registry: it holds over every restart."""

from sqlalchemy import text

from k2.engine.table_requests import StreamWish
from k2.errors import ConfigError
from k2.jobs.clock import now_ms
from k2.jobs.database import Database

_RUN, _PAUSE = "run", "pause"


class UnknownStreamError(ConfigError):
    """There is no stream of that name."""


class StreamWishes:
    """Rows of ``k2_stream_wish``; a stream without one is to run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pause(self, stream: str) -> None:
        """Want a stream to stand still, until :meth:`resume` or :meth:`restart`."""
        self._want(stream, _PAUSE)

    def resume(self, stream: str) -> None:
        """Want a stream to run."""
        self._want(stream, _RUN)

    def restart(self, stream: str) -> None:
        """Want a stream to be started again, one that was paused or has failed too."""
        self._want(stream, _RUN, restarts=1)

    def all(self) -> dict[str, StreamWish]:
        """Return what is wanted, by stream."""
        with self._database.reading() as connection:
            rows = connection.execute(text("SELECT stream, wish, restarts FROM k2_stream_wish"))
            return {stream: StreamWish(wish == _PAUSE, count) for stream, wish, count in rows}

    def _want(self, stream: str, wish: str, restarts: int = 0) -> None:
        with self._database.writing() as connection:
            connection.execute(
                text(
                    "INSERT INTO k2_stream_wish (stream, wish, restarts, since_ms)"
                    " VALUES (:stream, :wish, :restarts, :now) ON CONFLICT (stream) DO UPDATE SET"
                    " wish = :wish, restarts = k2_stream_wish.restarts + :restarts, since_ms = :now"
                ),
                {"stream": stream, "wish": wish, "restarts": restarts, "now": now_ms()},
            )

"""Events into a Redis stream, where ``K2_EVENTS_REDIS`` asks for it and ``redis`` is installed."""

from typing import Any

from k2.errors import ConfigError, first_line
from k2.jobs.delivery.cloud_events import as_json
from k2.jobs.delivery.sink import SinkRefusedError, SinkUnavailableError
from k2.jobs.outbox import Event
from k2.observability.redaction import redacted

STREAM = "k2.events"
_SECONDS = 5.0


class RedisSink:
    """Appends each event to the stream ``k2.events`` as the field ``event``."""

    name = "redis"

    def __init__(self, url: str) -> None:
        """Connect at the first event.

        Raises:
            ConfigError: the address is none, or the package ``redis`` is missing.
        """
        try:
            import redis
        except ImportError as error:
            raise ConfigError(
                "K2_EVENTS_REDIS wants the package redis: `pip install 'k2[redis]'`."
            ) from error
        self._errors = redis.exceptions
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
            )
        except ValueError as error:
            raise ConfigError(
                f"K2_EVENTS_REDIS={redacted(url)!r} is no address; write redis://host:6379/0."
            ) from error

    def deliver(self, event: Event) -> None:
        """Append one event."""
        try:
            self._client.xadd(STREAM, {"id": str(event.seq), "event": as_json(event)})
        except (self._errors.ConnectionError, self._errors.TimeoutError) as error:
            said = first_line(str(redacted(str(error))), 200)
            raise SinkUnavailableError(f"Redis does not answer: {said}.") from error
        except self._errors.RedisError as error:
            raise SinkRefusedError(
                f"Redis refuses the event: {first_line(str(error), 200)}"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

"""The streams of a home for commands that work on their tables, with or without services."""

from pyspark.sql import SparkSession
from rich.console import Console

from k2.cli.driver import local_session
from k2.cli.endpoints import Endpoints, find_endpoints
from k2.cli.sessions import stop_session
from k2.errors import UnavailableError
from k2.io.schema_registry import SchemaRegistry
from k2.runner.plan import all_streams, schema_cache
from k2.settings import Settings
from k2.streams.stream import Stream

# Port 9 discards: a stopped registry's schemas come from the cache, and what is not there from none.
_NOWHERE = Endpoints("127.0.0.1:9", "http://127.0.0.1:9")


def local_streams(settings: Settings) -> list[Stream]:
    """Return all streams; what needs a service that does not run fails when it is needed."""
    at = _endpoints(settings)
    return all_streams(settings, at.kafka, at.registry, settings.spark_master)


def schemas_of(settings: Settings) -> SchemaRegistry:
    """Return the registry, or where none runs the cache of what it told."""
    return SchemaRegistry(_endpoints(settings).registry, schema_cache(settings))


def _endpoints(settings: Settings) -> Endpoints:
    try:
        return find_endpoints(settings)
    except UnavailableError:
        return _NOWHERE


class Session:
    """A Spark session that starts when it is first asked for, and stops at the end."""

    def __init__(self, settings: Settings, app_name: str) -> None:
        self._settings = settings
        self._app_name = app_name
        self._spark: SparkSession | None = None

    def __enter__(self) -> "Session":
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the session if there is one."""
        if self._spark is not None:
            stop_session(self._spark)

    def spark(self) -> SparkSession:
        """Return the session."""
        if self._spark is None:
            self._spark = local_session(self._settings, self._app_name, Console(stderr=True))
        return self._spark

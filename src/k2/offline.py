"""Streams and tables of a home for commands that must work with or without running services."""

from typing import Any

from k2.connectors.schema_registry import SchemaRegistry
from k2.engine.stream import Stream
from k2.errors import UnavailableError
from k2.home.endpoints import Endpoints, find_endpoints
from k2.settings import Settings
from k2.storage.delta import open_table, table_path
from k2.storage.table import Table
from k2.topology import all_streams, all_tables, schema_cache

# Port 9 discards: a stopped registry's schemas come from the cache, and what is not there from none.
_NOWHERE = Endpoints("127.0.0.1:9", "http://127.0.0.1:9")


def local_streams(settings: Settings) -> list[Stream]:
    """Return all streams; a stream that needs a service which does not run fails when it calls it."""
    at = _endpoints(settings)
    return all_streams(settings, at.kafka, at.registry, settings.spark_master)


def schemas_of(settings: Settings) -> SchemaRegistry:
    """Return the registry's client; where no registry runs, it answers from its cache."""
    registry = _endpoints(settings).registry
    return SchemaRegistry(registry, schema_cache(settings, registry))


def stored_tables(settings: Settings) -> list[dict[str, Any]]:
    """Return name, rows, files, bytes, version and path of each stored table."""
    return [facts for table in all_tables() if (facts := _facts(settings, table)) is not None]


def _facts(settings: Settings, table: Table) -> dict[str, Any] | None:
    stored = open_table(settings.lake, table)
    if stored is None:
        return None
    adds = stored.get_add_actions(flatten=True)
    return {
        "table": table.name,
        "rows": sum(adds["num_records"].to_pylist()),
        "files": len(adds["path"]),
        "bytes": sum(adds["size_bytes"].to_pylist()),
        "version": stored.version(),
        "comment": table.comment,
        "path": str(table_path(settings.lake, table)),
    }


def _endpoints(settings: Settings) -> Endpoints:
    try:
        return find_endpoints(settings)
    except UnavailableError:
        return Endpoints(settings.kafka or _NOWHERE.kafka, settings.registry or _NOWHERE.registry)

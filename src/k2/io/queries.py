"""DuckDB for questions about stored tables."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def utc_database() -> "DuckDBPyConnection":
    """Return an empty database in memory that reckons and shows times in UTC."""
    # Only where it is used: left loaded beside Spark's threads, it ends with a page of complaints.
    import duckdb

    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    return database

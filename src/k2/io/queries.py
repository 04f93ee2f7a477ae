"""DuckDB for questions about stored tables."""

import duckdb


def utc_database() -> duckdb.DuckDBPyConnection:
    """Return an empty database in memory that reckons and shows times in UTC."""
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    return database

"""SQL over Arrow tables in memory, by DuckDB: columns in, columns out, and no database kept.

Everything that an exchange's definition, a rule or a bar says in SQL is said in DuckDB's dialect.
"""

import atexit
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# To open a connection for each question takes as long as a small answer.
_IDLE: list["DuckDBPyConnection"] = []


def utc_database() -> "DuckDBPyConnection":
    """Return an empty database in memory that reckons and shows times in UTC."""
    # Where it is first used: half of the commands ask no table anything.
    import duckdb

    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    return database


def query(sql: str, **tables: pa.Table) -> pa.Table:
    """Return what ``sql`` makes of the ``tables``, which it knows by these names.

    Rows of a plain ``select`` keep their order. Threads may ask at the same time.
    """
    asked = _IDLE.pop() if _IDLE else _engine().cursor()
    try:
        for name, table in tables.items():
            asked.register(name, table)
        return asked.sql(sql).to_arrow_table()
    finally:
        for name in tables:
            asked.unregister(name)
        _IDLE.append(asked)


def text(value: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


@cache
def _engine() -> "DuckDBPyConnection":
    """One for the process: to make it costs as much as a small batch."""
    atexit.register(_close)
    return utc_database()


def _close() -> None:
    """Close all connections: what Spark's threads would hold on to, DuckDB complains of at the end."""
    while _IDLE:
        _IDLE.pop().close()
    _engine().close()
    _engine.cache_clear()

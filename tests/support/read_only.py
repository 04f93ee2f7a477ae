"""A registry whose file can only be read, for as long as a test wants."""

from collections.abc import Callable

from k2.jobs.database import Database


def make_read_only(database: Database) -> Callable[[], None]:
    """Let it be one that can only be read, until what is returned is called."""
    dialect = database.engine.dialect
    connect = dialect.connect

    def connected(*arguments: object, **options: object) -> object:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA query_only = 1")
        return connection

    def undo() -> None:
        database.close()
        dialect.connect = connect  # type: ignore[method-assign]

    database.close()
    dialect.connect = connected  # type: ignore[method-assign,assignment]
    return undo

"""SQL over Arrow tables in memory, by DuckDB: columns in, columns out, and no database kept.

Everything that an exchange's definition, a rule or a bar says in SQL is said in DuckDB's dialect.
"""

import atexit
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.types as pt

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# To open a connection for each question takes as long as a small answer.
_IDLE: list["DuckDBPyConnection"] = []

# Questions about tables that were asked before, the one asked last at the end, each with the connections that
# have a plan of it and are not in use. K2 asks some thirty.
_KEPT: OrderedDict[tuple[Any, ...], list["_Question"]] = OrderedDict()
_MOST_KEPT = 64
# A plan holds what it has gathered until it is run again; in bytes of the answer.
_LARGEST_KEPT = 1024 * 1024
_ROWS_AT_ONCE = 1_000_000
# It advises what keeps memory, as below; the copy costs less than what the advice would have done twice.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning, __name__)


class _Given:
    """A table's place in a plan: DuckDB asks it for its rows whenever the plan is run."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.table: pa.Table | None = None

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        table = self.schema.empty_table() if self.table is None else self.table
        return table.__arrow_c_stream__(requested_schema)


class _Question:
    """A question with its plan, on a connection of its own: to plan takes up to 9 ms, to run it on a few rows 1."""

    def __init__(self, sql: str, tables: dict[str, pa.Table]) -> None:
        self._given = {name: _Given(table.schema) for name, table in tables.items()}
        self._asked = _engine().cursor()
        for name, given in self._given.items():
            self._asked.register(name, given)
        self._asked.execute(f"prepare question as {sql}")

    def ask(self, tables: dict[str, pa.Table]) -> pa.Table:
        for name, table in tables.items():
            self._given[name].table = table
        try:
            # `sql` keeps 300 bytes of each question that is no plain select, for ever (2.0.0).
            rows: Any = self._asked.execute("execute question").to_arrow_reader(_ROWS_AT_ONCE)
            answer: pa.Table = rows.read_all()
            return answer
        finally:
            for given in self._given.values():
                given.table = None

    def close(self) -> None:
        self._asked.close()


def utc_database() -> "DuckDBPyConnection":
    """Return an empty database in memory that reckons and shows times in UTC, as do its cursors."""
    # Where it is first used: half of the commands ask no table anything.
    import duckdb

    # Of a program without a file, as jobs start theirs, DuckDB thinks that somebody types it, and after two
    # seconds draws a progress bar on its standard output, where its answer is.
    database = duckdb.connect()
    database.execute("set enable_progress_bar = false")
    # It remembers a kilobyte of every file for ever (2.0.0), and keeps no more of local ones.
    database.execute("set enable_external_file_cache = false")
    database.execute("set global timezone = 'UTC'")  # else a cursor has the machine's
    return database


def query(sql: str, **tables: pa.Table) -> pa.Table:
    """Return what ``sql`` makes of the ``tables``, which it knows by these names.

    Rows of a plain ``select`` keep their order. Threads may ask at the same time. DuckDB plans a question
    once for tables with the same columns, where the answers are small; one without tables is about files that
    it names, and is not asked again.
    """
    if not tables:
        return _ask(sql)
    key = (sql, *((name, table.schema) for name, table in tables.items()))
    question = _take(key) or _Question(sql, tables)
    try:
        answer = question.ask(tables)
    except BaseException:
        question.close()
        raise
    if answer.nbytes <= _LARGEST_KEPT:
        _keep(key, question)
    else:
        question.close()
    return answer


def _ask(sql: str) -> pa.Table:
    asked = _IDLE.pop() if _IDLE else _engine().cursor()
    try:
        return asked.sql(sql).to_arrow_table()
    finally:
        _IDLE.append(asked)


def _take(key: tuple[Any, ...]) -> _Question | None:
    idle = _KEPT.get(key)
    try:
        return idle.pop() if idle else None
    except IndexError:  # another thread was faster
        return None


def _keep(key: tuple[Any, ...], question: _Question) -> None:
    """Keep a question that was answered; of too many, forget the one that was not asked for longest."""
    _KEPT.setdefault(key, []).append(question)
    with suppress(KeyError):  # another thread has forgotten it just now
        _KEPT.move_to_end(key)
    if len(_KEPT) > _MOST_KEPT:
        for old in _KEPT.popitem(last=False)[1]:
            old.close()


def query_batches(sql: str, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield what ``sql`` selects, some ``rows`` at a time, without holding all of it."""
    with _engine().cursor() as asked:
        yield from batches_of(asked.sql(sql).to_arrow_reader(rows))


def batches_of(answer: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield the rest of DuckDB's answer; an error is DuckDB's own, of which pyarrow makes an ``OSError``."""
    try:
        yield from answer
    except OSError as error:
        if error.errno is not None:
            raise
        raise _error_of(str(error)) from error


def _error_of(said: str) -> Exception:
    """The error of the class whose name the text begins with, such as "Out of Memory Error: …"."""
    import duckdb

    name = said.partition(" Error: ")[0].replace(" ", "")
    kind: type[Exception] = getattr(duckdb, f"{name}Exception", duckdb.Error)
    return kind(said)


def text(value: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as SQL writes it, whatever word it is."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """Return a value as SQL writes it; a time without a zone is UTC."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, datetime):
        instant = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return f"timestamptz '{instant.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if value is None or isinstance(value, bool | int | Decimal):
        return "null" if value is None else str(value).lower()
    raise TypeError(f"{value!r}: a text, time, day, whole number, decimal or truth value is wanted")


_TYPE_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
}


def type_name(kind: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type that a table can have.

    Raises:
        TypeError: no table of ours has such a type.
    """
    if kind in _TYPE_NAMES:
        return _TYPE_NAMES[kind]
    if pt.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pt.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind):
        return "VARCHAR"
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind):
        return "BLOB"
    if pt.is_list(kind) or pt.is_large_list(kind):
        return f"{type_name(kind.value_type)}[]"
    if pt.is_struct(kind):
        fields = ", ".join(f"{identifier(f.name)} {type_name(f.type)}" for f in kind)
        return f"STRUCT({fields})"
    if pt.is_map(kind):
        return f"MAP({type_name(kind.key_type)}, {type_name(kind.item_type)})"
    raise TypeError(f"{kind} is no type of a table's column")


@cache
def _engine() -> "DuckDBPyConnection":
    """One for the process: to make it costs as much as a small batch."""
    atexit.register(_close)
    return utc_database()


def _close() -> None:
    """Close all connections: what Spark's threads would hold on to, DuckDB complains of at the end."""
    while _IDLE:
        _IDLE.pop().close()
    for idle in _KEPT.values():
        for question in idle:
            question.close()
    _KEPT.clear()
    _engine().close()
    _engine.cache_clear()

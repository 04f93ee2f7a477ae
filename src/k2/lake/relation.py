"""A relation: rows that can be read as Arrow, Polars, pandas or DuckDB."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from k2.errors import ConfigError, FailedError
from k2.sql import batches_of
from k2.storage.read_errors import named_read_errors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_BATCH_ROWS = 100_000


class Relation:
    """Rows of stored tables at one version each; they are read when they are asked for.

    ``versions`` are those of the tables, by name; ``files`` all the files that a read may open.
    """

    def __init__(
        self,
        database: "DuckDBPyConnection",
        sql: str,
        versions: Mapping[str, int],
        files: tuple[str, ...],
    ) -> None:
        """Select ``sql`` in a database, which must stay open."""
        self.versions = dict(versions)
        self.files = files
        self._database = database
        self._sql = sql
        self._planned: DuckDBPyRelation | None = None

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""
        with named_query_errors():
            rows = self._database.cursor().sql(self._sql)
            return _in_utc(rows.limit(0).to_arrow_table().schema)

    def check(self) -> None:
        """Let DuckDB say what is wrong with the query, without running it.

        Raises:
            ConfigError: the query is wrong.
            ContractError: a file is missing.
        """
        with named_query_errors():
            planned = self._database.cursor().sql(self._sql)
            _ = planned.columns
        # To plan a read of 240 files takes 20 ms, as long as to read a few of them: the next one has it.
        self._planned = planned

    def arrow(self, batch_rows: int = _BATCH_ROWS) -> pa.RecordBatchReader:
        """Return a reader of the rows, ``batch_rows`` at a time, so that any number of them fits.

        Raises:
            ContractError: a file is missing or damaged.
        """
        rows, self._planned = self._planned, None
        with named_query_errors(self.files):
            if rows is None:
                rows = self._database.cursor().sql(self._sql)
            reader = rows.to_arrow_reader(batch_rows)
        schema = _in_utc(reader.schema)
        return pa.RecordBatchReader.from_batches(schema, _read(reader, schema, self.files))

    def to_polars(self) -> Any:
        """Return a ``polars.DataFrame``.

        Raises:
            ConfigError: Polars is not installed.
        """
        return _library("polars").from_arrow(self.arrow().read_all())

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame``; decimals become objects, exact.

        Raises:
            ConfigError: pandas is not installed.
        """
        _library("pandas")
        return self.arrow().read_pandas()

    def to_duckdb(self) -> "DuckDBPyRelation":
        """Return a DuckDB relation, whose connection keeps time in UTC."""
        with named_query_errors():
            return self._database.sql(self._sql)

    def close(self) -> None:
        """Close the database of the rows."""
        self._database.close()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the rows to any library that takes Arrow's streams."""
        return self.arrow().__arrow_c_stream__(requested_schema)


@contextmanager
def named_query_errors(files: Iterable[str] = ()) -> Iterator[None]:
    """Raise DuckDB's errors about a query of ``files`` as K2's own, without the quoted line.

    Raises:
        ConfigError: the query is wrong.
        ContractError: a file is missing or damaged.
        FailedError: there is not enough memory or disk.
    """
    import duckdb

    try:
        with named_read_errors(files):
            yield
    except duckdb.ConnectionException:
        raise ConfigError("The lake is closed; read its relations before.") from None
    except duckdb.Error as error:
        said = " ".join(str(error).partition("\n\nLINE ")[0].split())
        kind = FailedError if isinstance(error, duckdb.OperationalError) else ConfigError
        raise kind(said) from error


def _in_utc(schema: pa.Schema) -> pa.Schema:
    """Name the time zone as stored tables do: DuckDB 2.0 calls it Etc/UTC, which Polars takes for another zone."""
    fields = [
        (
            field.with_type(pa.timestamp(field.type.unit, "UTC"))
            if pa.types.is_timestamp(field.type) and field.type.tz
            else field
        )
        for field in schema
    ]
    return pa.schema(fields)


def _read(
    reader: pa.RecordBatchReader, schema: pa.Schema, files: Iterable[str]
) -> Iterator[pa.RecordBatch]:
    with named_query_errors(files):
        for batch in batches_of(reader):
            yield batch.cast(schema)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(f"{name} is not installed; `pip install {name}`.") from None

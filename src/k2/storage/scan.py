"""Read one version of a stored table: DuckDB's Parquet reader over the files that its log names.

A scan prunes the files by their partition values and statistics before DuckDB opens any. A pyarrow
dataset would read them too, but through delta-rs's file system (1.6.6): ten times slower for few rows,
and one process in twenty then ended with "terminate called without an active exception", exit code 134.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from k2.errors import ContractError
from k2.sql import identifier, literal, query, query_batches, text, type_name
from k2.storage.delta import open_table, refuse_missing_columns, wanted_schema
from k2.storage.file_pruning import Condition, prune
from k2.storage.read_errors import named_read_errors
from k2.storage.table import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # a null among partition values, in a path
_BATCH_ROWS = 100_000
_NOT_READ = {"deletionVectors", "columnMapping"}  # features that change what a Parquet file says


@dataclass(frozen=True)
class Scan:
    """Rows of one version of a table: ``sql`` selects them, ``files`` are all that it opens."""

    version: int
    schema: pa.Schema
    files: tuple[str, ...]
    sql: str

    def table(self, where: str = "true") -> pa.Table:
        """Return the rows for which the SQL ``where`` holds; all without it.

        Raises:
            ContractError: a file is missing or is not readable.
        """
        with named_read_errors(self.files):
            found = query(f"select * from ({self.sql}) where {where}")  # noqa: S608 — our own SQL
        return found.cast(self.schema)

    def batches(self, rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield the rows, at most ``rows`` at a time, in the order of the files.

        Raises:
            ContractError: a file is missing or is not readable.
        """
        with named_read_errors(self.files):
            for batch in query_batches(self.sql, rows):
                yield batch.cast(self.schema)

    def create_view(self, database: "DuckDBPyConnection", name: str) -> None:
        """Make the rows a view of a database.

        Raises:
            ContractError: a file is missing or is not readable.
        """
        with named_read_errors():
            database.execute(f"create or replace temp view {identifier(name)} as {self.sql}")


def data_files(stored: DeltaTable) -> pa.Table:
    """Return a table's files with their statistics and partition values, a row each."""
    return pa.table(stored.get_add_actions(flatten=True))


def scan(
    stored: DeltaTable,
    columns: Sequence[str] | None = None,
    where: Sequence[Condition] = (),
    files: pa.Table | None = None,
) -> Scan:
    """Plan reading some columns of the rows that meet all conditions, from as few files as possible.

    Args:
        stored: the table, at the version to read.
        columns: names in the wanted order; all without it.
        where: conditions; a row with a null in a column of theirs does not meet them.
        files: some of the table's :func:`data_files`, in the order to read them in; all without it.

    Raises:
        ContractError: the table needs a feature of Delta that K2 does not read, or lacks a file.
        TableDriftError: the table lacks a column.
    """
    features = _NOT_READ & set(stored.protocol().reader_features or ())
    if features:
        raise ContractError(
            f"Table {stored.table_uri} uses {', '.join(sorted(features))}, which K2 does not read."
        )
    stored_schema = pa.schema(stored.schema().to_arrow())
    names = stored_schema.names if columns is None else list(columns)
    refuse_missing_columns(stored, names)
    schema = pa.schema([stored_schema.field(name) for name in names])
    files = prune(data_files(stored) if files is None else files, stored_schema, where)
    paths = _paths(stored, files)
    if not paths:
        return _no_rows(stored.version(), schema)
    partitions = [stored_schema.field(name) for name in stored.metadata().partition_columns]
    source = _source(paths, files, partitions, stored_schema)
    rows = " and ".join(_condition(*condition) for condition in where) or "true"
    chosen = ", ".join(_cast(identifier(field.name), field) for field in schema)
    sql = f"select {chosen} from {source} where {rows}"  # noqa: S608 — our own SQL
    return Scan(stored.version(), schema, paths, sql)


def scan_table(
    lake: Path, table: Table, columns: Sequence[str] | None = None, where: Sequence[Condition] = ()
) -> Scan:
    """Plan as :func:`scan` does, at a table's newest version; a table that does not exist has no rows."""
    stored = open_table(lake, table)
    if stored is not None:
        return scan(stored, columns, where)
    schema = pa.schema(wanted_schema(table).to_arrow())
    return _no_rows(-1, pa.schema([schema.field(name) for name in columns or schema.names]))


def _no_rows(version: int, schema: pa.Schema) -> Scan:
    nulls = ", ".join(_cast("null", field) for field in schema)
    return Scan(version, schema, (), f"select {nulls} where false")


def _paths(stored: DeltaTable, files: pa.Table) -> tuple[str, ...]:
    """Where the files are: paths on this machine, addresses elsewhere."""
    address = urlsplit(stored.table_uri)
    is_local = address.scheme in ("", "file")
    folder = (unquote(address.path) if is_local else stored.table_uri).rstrip("/")
    # The log holds addresses, in which the "%" of an encoded partition value is encoded again.
    return tuple(f"{folder}/{unquote(path)}" for path in files["path"].to_pylist())


def _source(
    paths: tuple[str, ...], files: pa.Table, partitions: list[pa.Field], schema: pa.Schema
) -> str:
    """SQL for all columns of the files, including the partition columns, which only the log and the paths have."""
    is_told = _are_told_by_paths(paths, files, partitions)
    options = ["hive_partitioning = false"]
    if is_told and partitions:
        kinds = ", ".join(f"{text(p.name)}: {text(type_name(p.type))}" for p in partitions)
        options = ["hive_partitioning = true", f"hive_types = {{{kinds}}}"]
    stored = {f.name: type_name(f.type) for f in schema if f not in partitions}
    oldest = pc.index(files["modification_time"], pc.min(files["modification_time"])).as_py()
    missing: list[str] = []
    if _columns_of(paths[oldest]) != tuple(sorted(stored.items())):
        # The table's columns changed after this file, so that later ones may have others.
        options.append("union_by_name = true")
        there = dict(_columns_of(*paths))
        missing = [
            f"null::{kind} as {identifier(n)}" for n, kind in stored.items() if n not in there
        ]
    reader = f"read_parquet([{', '.join(map(text, paths))}], {', '.join(options)})"
    further = missing if is_told else [*missing, *(_by_file(files, p) for p in partitions)]
    return f"(select *, {', '.join(further)} from {reader})" if further else reader  # noqa: S608


def _are_told_by_paths(paths: tuple[str, ...], files: pa.Table, partitions: list[pa.Field]) -> bool:
    """Whether each file lies in folders that are named for its partition values, as is usual."""
    columns = [pc.cast(files[f"partition.{p.name}"], pa.string()).to_pylist() for p in partitions]
    return all(
        _told_by(path.rpartition("/")[0], len(partitions))
        == tuple(
            f"{p.name}={_NO_VALUE if value is None else value}"
            for p, value in zip(partitions, values, strict=True)
        )
        for path, *values in zip(paths, *columns, strict=True)
    )


@lru_cache(maxsize=10_000)
def _told_by(folder: str, count: int) -> tuple[str, ...]:
    return tuple(map(unquote, folder.split("/")[-count:])) if count else ()


def _by_file(files: pa.Table, partition: pa.Field) -> str:
    values = ", ".join(map(literal, files[f"partition.{partition.name}"].to_pylist()))
    kind = type_name(partition.type)
    return f"([{values}]::{kind}[])[file_index::bigint + 1] as {identifier(partition.name)}"


@lru_cache(maxsize=256)
def _columns_of(*paths: str) -> tuple[tuple[str, str], ...]:
    """Names and types of the columns of stored files, which never change."""
    listed = ", ".join(map(text, paths))
    options = "hive_partitioning = false, union_by_name = true"
    with named_read_errors():
        found = query(f"describe from read_parquet([{listed}], {options})")
    return tuple(
        sorted(zip(found["column_name"].to_pylist(), found["column_type"].to_pylist(), strict=True))
    )


def _cast(value: str, field: pa.Field) -> str:
    return f"{value}::{type_name(field.type)} as {identifier(field.name)}"


def _condition(column: str, operator: str, value: Any) -> str:
    if operator == "in":
        values = ", ".join(map(literal, value))
        return f"{identifier(column)} in ({values})" if values else "false"
    return f"{identifier(column)} {operator} {literal(value)}"

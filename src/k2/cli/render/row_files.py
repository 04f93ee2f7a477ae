"""Rows as files: CSV, JSON or Parquet, whole or not at all."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from k2.errors import ConfigError, K2Error
from k2.home.atomic_files import written_whole
from k2.lake.relation import Relation
from k2.sql import text, utc_database

_OPTIONS = {
    "csv": "format csv, header true",
    "json": "format json, array true",
    "jsonl": "format json, array false",
    "parquet": "format parquet, compression zstd",
}


def format_of(path: Path) -> str:
    """Return the format that a file's name asks for.

    Raises:
        ConfigError: it ends otherwise.
    """
    ending = path.suffix.removeprefix(".").lower()
    if ending not in _OPTIONS:
        raise ConfigError(
            f"{path.name}: a name that ends in .csv, .json, .jsonl or .parquet is wanted."
        )
    return ending


def write_rows(rows: Relation, to: Path, format_: str | None = None) -> int:
    """Write all rows to a file, in the format that its name asks for; return how many there are.

    Raises:
        ConfigError: the name has no known ending, or the file cannot be written.
    """
    kind = format_ or format_of(to)
    with written_whole(to) as draft:
        draft.touch()  # says what DuckDB would say otherwise
        return _copy(rows, draft, kind)


def print_rows(rows: Relation, format_: str) -> None:
    """Print all rows as CSV or JSON."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"rows.{format_}"
        _copy(rows, file, format_)
        with file.open(encoding="utf-8") as written:
            shutil.copyfileobj(written, sys.stdout)


def _copy(rows: Relation, to: Path, format_: str) -> int:
    failed: list[K2Error] = []

    def batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except K2Error as error:  # DuckDB would only tell its text
            failed.append(error)
            raise

    reader = rows.arrow()
    with utc_database() as database:
        source = pa.RecordBatchReader.from_batches(reader.schema, batches(reader))
        database.register("stored_rows", source)
        try:
            copied = database.execute(
                f"copy (from stored_rows) to {text(str(to))} ({_OPTIONS[format_]})"
            ).fetchall()
        except Exception:
            if failed:
                raise failed[0] from None
            raise
    return int(copied[0][0])

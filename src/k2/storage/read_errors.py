"""Turn DuckDB's errors about stored files into one sentence with a remedy."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deltalake.exceptions import DeltaError, TableNotFoundError

from k2.errors import ContractError, K2Error, first_line
from k2.sql import query_batches, text

_COLOR = re.compile(r"\x1b\[\d+m")  # of the trees in which delta-rs tells an error's causes
_FEW_ROWS = 10_000  # that are held of a file which is looked through
_FILE = re.compile(r"""["'](?P<path>[^"']+\.parquet)["']""")


@contextmanager
def named_read_errors(files: Iterable[str] = ()) -> Iterator[None]:
    """Raise errors of reading stored tables as K2's own; also usable as a decorator.

    DuckDB names a file that it cannot open, but none of which a page is damaged: then each of ``files`` is
    looked through.

    Raises:
        ContractError: a file is missing or damaged; the message names it where it can.
    """
    try:
        yield
    except Exception as error:
        named = read_error(error, files)
        if named is None:
            raise
        raise named from error


@contextmanager
def named_log_errors(table: str) -> Iterator[None]:
    """Raise delta-rs's errors about a table's log as K2's own.

    Raises:
        ContractError: the log is damaged.
        TableNotFoundError: of delta-rs, there is none.
    """
    try:
        yield
    except TableNotFoundError:
        raise
    except DeltaError as error:
        why = first_line(_COLOR.sub("", str(error)))
        raise ContractError(f"The log of table {table} cannot be read: {why}.") from error


def read_error(error: Exception, files: Iterable[str] = ()) -> K2Error | None:
    """Return the error that says which stored file stops a reader; None when it is no such error."""
    from duckdb import (  # costs a tenth of a second, and most processes see no error
        Error,
        PermissionException,
    )

    if not isinstance(error, Error) or isinstance(error, PermissionException):
        return None
    if found := _FILE.search(str(error)):
        return None if "*" in found["path"] else _of_file(Path(found["path"]), error)
    # What its Parquet reader finds in a page has no class of its own, as all else has.
    if type(error) is not Error:
        return None
    for file in files:
        try:
            for _ in query_batches(f"from read_parquet({text(file)})", _FEW_ROWS):
                pass
        except Error:
            return _of_file(Path(file), error)
    return ContractError(
        f"A stored file is damaged: {first_line(str(error))}. Restore it from a backup."
    )


def _of_file(path: Path, error: Exception) -> K2Error:
    table, file = _table_and_file(path)
    if not path.exists():
        return ContractError(
            f"Table {table} lacks the file {file}, which its log names. Restore it from a backup;"
            " if `k2 maintain` ran meanwhile, run the command again."
        )
    return ContractError(
        f"Table {table} has a damaged file, {file}: {first_line(str(error))}."
        " Restore it from a backup."
    )


def _table_and_file(path: Path) -> tuple[str, str]:
    for folder in path.parents:
        if (folder / "_delta_log").is_dir():
            return folder.name, str(path.relative_to(folder))
    return path.parent.name, path.name

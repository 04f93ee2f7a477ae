"""Turn DuckDB's errors about stored files into one sentence with a remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltalake.exceptions import DeltaError, TableNotFoundError

from k2.errors import ContractError, K2Error, first_line

_COLOR = re.compile(r"\x1b\[\d+m")  # of the trees in which delta-rs tells an error's causes
_FILE = re.compile(r"""["'](?P<path>[^"']+\.parquet)["']""")


@contextmanager
def named_read_errors() -> Iterator[None]:
    """Raise errors of reading stored tables as K2's own; also usable as a decorator.

    Raises:
        ContractError: a file is missing or damaged; the message names it.
    """
    try:
        yield
    except Exception as error:
        named = read_error(error)
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


def read_error(error: Exception) -> K2Error | None:
    """Return the error that says which stored file stops a reader; None when it is no such error."""
    from duckdb import (  # costs a tenth of a second, and most processes see no error
        Error,
        PermissionException,
    )

    found = _FILE.search(str(error)) if isinstance(error, Error) else None
    if found is None or isinstance(error, PermissionException) or "*" in found["path"]:
        return None
    path = Path(found["path"])
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

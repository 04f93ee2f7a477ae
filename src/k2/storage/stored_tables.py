"""The tables in a lake's folder, opened by name and kept open."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from k2.errors import ConfigError
from k2.storage.handles import MAX_COMMITS, TableHandle
from k2.storage.read_errors import named_log_errors


class StoredTables:
    """Opens tables by name; each stays open, and is brought up to date when it is asked for again."""

    def __init__(self, lake: Path, max_commits: int = MAX_COMMITS) -> None:
        """Look at the tables under ``lake``; ``max_commits`` is that of each :class:`TableHandle`."""
        self.lake = lake
        self._max_commits = max_commits
        self._handles: dict[str, TableHandle] = {}

    def names(self) -> list[str]:
        """Return the names of all stored tables."""
        return sorted(path.parent.name for path in self.lake.glob("*/_delta_log"))

    def opened(self, name: str) -> DeltaTable:
        """Return a table at its newest version.

        Raises:
            ConfigError: there is none of that name; says which there are.
            ContractError: its log is damaged.
        """
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise ConfigError(f"There is no table {name!r} in {self.lake}. Tables: {known}.")
        with named_log_errors(name):
            return self.handle(name).latest()

    def find(self, name: str) -> DeltaTable | None:
        """Return a table at its newest version; None when it is not there or cannot be read just now."""
        with suppress(DeltaError, OSError):
            return self.handle(name).latest()
        self._handles.pop(name, None)
        return None

    def handle(self, name: str) -> TableHandle:
        """Return the one handle that is kept of a table, which may not be there yet."""
        return self._handles.setdefault(name, TableHandle(self.lake / name, self._max_commits))

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns, in order.

        Raises:
            ConfigError: there is no such table.
        """
        names: list[str] = pa.schema(self.opened(name).schema().to_arrow()).names
        return names

    def checked(self, name: str, columns: Sequence[str] | None) -> list[str] | None:
        """Return the columns to read of a table.

        Raises:
            ConfigError: the table has no such column; says which it has.
        """
        if columns is None:
            return None
        there = self.columns(name)
        for column in columns:
            if column not in there:
                raise ConfigError(
                    f"Table {name} has no column {column!r}. Columns: {', '.join(there)}."
                )
        return list(columns)

"""The tables that a lake's folder holds, by name and kept open."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from k2.errors import ConfigError
from k2.storage.handles import TableHandle
from k2.storage.read_errors import named_log_errors


class StoredTables:
    """Opens tables by name; each stays open, and is brought up to date when it is asked for again."""

    def __init__(self, lake: Path) -> None:
        """Look at the tables under ``lake``."""
        self.lake = lake
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
        handle = self._handles.setdefault(name, TableHandle(self.lake / name))
        with named_log_errors(name):
            return handle.latest()

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

"""Append rows to a table about K2 itself, which no stream writes: one commit for each call."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from k2.storage.delta import ensure_table, named_errors
from k2.storage.table import Table


def append_rows(lake: Path, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows, by column name; a missing table is created. The caller holds the table's lock."""
    if not rows:
        return
    stored = ensure_table(lake, table)
    schema = pa.schema(stored.schema().to_arrow())
    with named_errors(table):
        write_deltalake(stored, pa.Table.from_pylist(list(rows), schema=schema), mode="append")

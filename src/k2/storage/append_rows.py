"""Rows to a table of records about K2 itself, which no stream writes: one commit a call."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from k2.storage.delta import ensure_table, named_errors
from k2.storage.table import Table


def append_rows(lake: Path, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows, by column; the table is made when it is not there. The caller holds its lock."""
    if not rows:
        return
    stored = ensure_table(lake, table)
    schema = pa.schema(stored.schema().to_arrow())
    with named_errors(table):
        write_deltalake(stored, pa.Table.from_pylist(list(rows), schema=schema), mode="append")

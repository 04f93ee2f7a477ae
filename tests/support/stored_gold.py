"""Gold trades written to a lake, a file for each call and hour."""

from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from k2.gold.table import GOLD_TRADES
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import rebuilt
from tests.support.bars import gold_row

_offsets = count()


def store_gold(lake: Path, *changes: dict[str, Any]) -> None:
    """Append one Gold row for each; ``changes`` replace columns."""
    stored = ensure_table(lake, GOLD_TRADES)
    schema = pa.schema(stored.schema().to_arrow())
    rows = [gold_row(next(_offsets), **change) for change in changes]
    write_deltalake(stored, rebuilt(pa.Table.from_pylist(rows, schema), GOLD_TRADES), mode="append")

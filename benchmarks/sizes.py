"""How many bytes of storage a trade takes, by table and column: as a stream writes it, and once compacted.

Simulated records of all exchanges, in batches of a running service's size, through every step to Gold.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import DeltaTable

from benchmarks.stages import Clock, run, simulated
from k2.bronze.table import bronze_trades
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import silver_trades
from k2.storage.maintenance.compaction import compact, small_files
from k2.storage.table import Table


def sizes(records: int, batch: int) -> dict[str, Any]:
    """Store simulated records; return bytes a row of each layer's tables, and of each column of Gold's."""
    schemas, values = simulated(records)
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as folder:
        lake = Path(folder, "lake")
        for exchange, of_exchange in values:
            run(Clock(), exchange, of_exchange, schemas, Path(folder), batch)
        exchanges = [exchange for exchange, _ in values]
        layers = {
            "bronze": [bronze_trades(exchange) for exchange in exchanges],
            "silver": [silver_trades(exchange) for exchange in exchanges],
            "gold": [GOLD_TRADES],
        }
        sent = sum(len(value or b"") for _, of_exchange in values for value in of_exchange)
        written = {layer: _bytes_a_row(lake, tables) for layer, tables in layers.items()}
        for table in (table for tables in layers.values() for table in tables):
            _compact(lake, table)
        return {
            "records": records,
            "kafka": round(sent / records, 1),
            "written": written,
            "compacted": {layer: _bytes_a_row(lake, tables) for layer, tables in layers.items()},
            "columns_of_gold": _bytes_of_columns(lake, GOLD_TRADES),
        }


def as_markdown(measured: Mapping[str, Any]) -> str:
    """Return bytes a row as a table, and Gold's columns from the largest on."""
    lines = ["| bytes a row | written | compacted |", "| --- | ---: | ---: |"]
    for layer, written in measured["written"].items():
        lines.append(f"| {layer} | {written} | {measured['compacted'][layer]} |")
    columns = measured["columns_of_gold"].items()
    lines += ["", "| column of Gold, compacted | bytes a trade |", "| --- | ---: |"]
    return "\n".join([*lines, *(f"| {name} | {size} |" for name, size in columns), ""])


def _compact(lake: Path, table: Table) -> None:
    stored = DeltaTable(lake / table.name)
    for partition in sorted({file.partition for file in small_files(stored)}):
        compact(stored, table, partition)


def _bytes_a_row(lake: Path, tables: list[Table]) -> float:
    files = [file for table in tables for file in small_files(DeltaTable(lake / table.name))]
    return round(sum(file.bytes for file in files) / sum(file.rows for file in files), 1)


def _bytes_of_columns(lake: Path, table: Table) -> dict[str, float]:
    stored = DeltaTable(lake / table.name)
    found, rows = Counter[str](), 0
    for uri in stored.file_uris():
        metadata = pq.ParquetFile(uri).metadata
        rows += metadata.num_rows
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                name = column.path_in_schema.split(".")[0]
                found[name] += column.total_compressed_size
    return {name: round(size / rows, 2) for name, size in found.most_common()}

"""Write rows to Parquet files as they come, one file of a partition at a time.

Memory does not grow with a partition: it is that of the rows at hand, 350 MB for 150,000 trades and what sorts
them. In delta-rs's own writer (1.6.6) rows pile up where they are read faster than they are written: 1.6 GB for
2.6 million trades, 2.3 GB for three times as many.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import Schema, convert_to_deltalake
from deltalake.transaction import AddAction

from k2.storage.delta_log import actions_of
from k2.storage.parquet_encoding import file_options, rows_of_a_part
from k2.storage.table import Table

_FILE_BYTES = 128 * 1024 * 1024


def write_files(
    table: Table, rows: Iterable[pa.Table], folder: Path, level: int
) -> list[AddAction]:
    """Write rows to files below a folder that holds nothing else.

    Args:
        table: whose columns the rows have, partition columns included.
        rows: each of these becomes a row group of its partition's file, or some where the table's files have
            smaller parts at this level.
        folder: it is made.
        level: of compression.

    Returns:
        The files, as a commit that changes no data names them, with the table's statistics.
    """
    with ExitStack() as open_files:
        files: dict[str, _File] = {}
        for some in rows:
            for place, part in _by_partition(some, table):
                file = files.get(place)
                if file is None:
                    file = files[place] = _File(folder / place, table, level)
                    open_files.callback(file.close)
                file.write(part)
    return _described(folder, table) if files else []


@dataclass
class _File:
    """The file of a partition that is being written; a large one is followed by another."""

    folder: Path
    table: Table
    compression: int
    _closing: ExitStack = field(default_factory=ExitStack)
    _writer: pq.ParquetWriter | None = None
    _output: pa.NativeFile | None = None

    def write(self, rows: pa.Table) -> None:
        if self._writer is None or self._output is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            # As delta-rs names its files.
            path = self.folder / f"part-00000-{uuid4()}-c000.zstd.parquet"
            self._output = self._closing.enter_context(pa.OSFile(str(path), "wb"))
            options = file_options(self.table, self.compression)
            self._writer = pq.ParquetWriter(self._output, rows.schema, **options)
            self._closing.enter_context(self._writer)
        part = rows_of_a_part(self.table, self.compression)
        self._writer.write_table(rows, row_group_size=part or rows.num_rows)
        if self._output.tell() >= _FILE_BYTES:
            self.close()

    def close(self) -> None:
        self._closing.close()
        self._writer = self._output = None


def _by_partition(rows: pa.Table, table: Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each partition without its columns, with the partition's folder."""
    names = list(table.partitioned_by)
    for partition in rows.select(names).group_by(names).aggregate([]).to_pylist():
        part = rows
        for name, value in partition.items():
            part = part.filter(pc.equal(part[name], pa.scalar(value, rows[name].type)))
        folder = "/".join(f"{name}={quote(str(value))}" for name, value in partition.items())
        yield folder, part.drop_columns(names)


def _described(folder: Path, table: Table) -> list[AddAction]:
    """What delta-rs reads of the files that a folder holds."""
    partitions = pa.schema([table.row_schema.field(name) for name in table.partitioned_by])
    convert_to_deltalake(
        folder, partition_by=Schema.from_arrow(partitions), partition_strategy="hive"
    )
    return [_add(entry["add"], table) for entry in actions_of(folder, 0) or () if "add" in entry]


def _add(entry: dict[str, Any], table: Table) -> AddAction:
    stats = orjson.loads(entry["stats"])
    for kind in ("minValues", "maxValues", "nullCount"):
        stats[kind] = {name: v for name, v in stats[kind].items() if name in table.stats_columns}
    return AddAction(
        path=entry["path"],
        size=entry["size"],
        partition_values=entry["partitionValues"],
        modification_time=entry["modificationTime"],
        data_change=False,
        stats=orjson.dumps(stats).decode(),
    )

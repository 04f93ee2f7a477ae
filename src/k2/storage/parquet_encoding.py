"""Choose Parquet encodings by column: the files are smaller, and cheaper to write, than with the writer's choice.

By default the writer builds a dictionary for every column and abandons it where values hardly repeat. Here
growing numbers and texts with common starts are stored as differences instead.
"""

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

from k2.storage.table import Table

_Encoding = Literal["DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", "PLAIN"]
_DIFFERENCES: _Encoding = "DELTA_BINARY_PACKED"
_SHARED_STARTS: _Encoding = "DELTA_BYTE_ARRAY"
_AS_IT_IS: _Encoding = "PLAIN"
_PROPERTIES = {
    _DIFFERENCES: ColumnProperties(dictionary_enabled=False, encoding=_DIFFERENCES),
    _SHARED_STARTS: ColumnProperties(dictionary_enabled=False, encoding=_SHARED_STARTS),
    _AS_IT_IS: ColumnProperties(dictionary_enabled=False),
}

# Where like rows lie together, a reader passes over the parts of a file that have none of those wanted.
# Parts of half as many rows make files of 20,000 larger by 3 %, and no question cheaper.
_ROWS_OF_A_PART = 8_192

QUICK, COMPACT = 1, 9  # levels of Zstandard: for a stream's files, and for those that stay


def layout(table: Table, level: int) -> WriterProperties:
    """Return delta-rs's properties for a table's files at a compression level."""
    columns = {name: _PROPERTIES[how] for name, how in _encodings(table).items()}
    return WriterProperties(
        compression="ZSTD",
        compression_level=level,
        column_properties=columns or None,
        max_row_group_size=rows_of_a_part(table, level),
    )


def file_options(table: Table, level: int) -> dict[str, Any]:
    """Return PyArrow's options for a table's files at a compression level: the same encodings.

    An index of each file's pages lets a reader pass over those without rows that are wanted, as in delta-rs's files.
    """
    stored = [name for name in table.columns if name not in table.partitioned_by]
    encodings = {name: how for name, how in _encodings(table).items() if name in stored}
    return {
        "compression": "zstd",
        "compression_level": level,
        "column_encoding": encodings,
        "use_dictionary": [
            path
            for name in stored
            if name not in encodings
            for path in (name, f"{name}.list.element")
        ],
        "write_statistics": [name for name in stored if name not in table.high_cardinality],
        "write_page_index": True,
    }


def rows_of_a_part(table: Table, level: int) -> int | None:
    """Return how many rows a row group has at most; None leaves it to the writer."""
    return _ROWS_OF_A_PART if table.grouped_by and level == QUICK else None


def grouped(rows: pa.Table, table: Table) -> pa.Table:
    """Return a batch's rows as they are written: those of one group together, in the order in which they came."""
    if not table.grouped_by or rows.num_rows < 2:
        return rows
    groups = np.zeros(rows.num_rows, np.int64)
    for name in table.grouped_by:
        encoded = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        groups = groups * len(encoded.dictionary) + encoded.indices.to_numpy()
    if groups.max() < 2**15:
        groups = groups.astype(np.int16)  # sorted by counting
    return rows.take(pa.array(np.argsort(groups, kind="stable")))


def _encodings(table: Table) -> dict[str, _Encoding]:
    """How columns are stored that have no dictionary."""
    columns = {field.name: _of_type(field.type) for field in table.schema}
    columns |= dict.fromkeys(table.high_cardinality, _SHARED_STARTS)
    return {name: how for name, how in columns.items() if how is not None}


def _of_type(kind: pa.DataType) -> _Encoding | None:
    if pa.types.is_int64(kind) or pa.types.is_timestamp(kind):
        return _DIFFERENCES
    return _AS_IT_IS if pa.types.is_decimal(kind) else None

"""Choose Parquet encodings by column: the files are smaller, and cheaper to write, than with the writer's choice.

By default the writer builds a dictionary for every column and abandons it where values hardly repeat. Here
growing numbers and texts with common starts are stored as differences instead.
"""

import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

from k2.storage.table import Table

_DIFFERENCES = ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
_SHARED_STARTS = ColumnProperties(dictionary_enabled=False, encoding="DELTA_BYTE_ARRAY")
_AS_IT_IS = ColumnProperties(dictionary_enabled=False)

QUICK, COMPACT = 1, 9  # levels of Zstandard: for a stream's files, and for those that stay


def layout(table: Table, level: int) -> WriterProperties:
    """Return delta-rs's properties for a table's files at a compression level."""
    columns = {field.name: _of_type(field.type) for field in table.schema}
    columns |= dict.fromkeys(table.high_cardinality, _SHARED_STARTS)
    chosen = {name: how for name, how in columns.items() if how is not None}
    return WriterProperties(
        compression="ZSTD", compression_level=level, column_properties=chosen or None
    )


def _of_type(kind: pa.DataType) -> ColumnProperties | None:
    if pa.types.is_int64(kind) or pa.types.is_timestamp(kind):
        return _DIFFERENCES
    return _AS_IT_IS if pa.types.is_decimal(kind) else None

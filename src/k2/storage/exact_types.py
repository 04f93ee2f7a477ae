"""Convert rows to a table's exact Arrow types, with every buffer well-formed."""

import pyarrow as pa

from k2.storage.table import Table


def rebuilt(rows: pa.Table, table: Table) -> pa.Table:
    """Return the rows in the table's exact Arrow types, nullability included.

    Spark returns empty string and list arrays without an offsets buffer, on which delta-rs 1.6.6
    panics; concatenating with a well-formed empty array gives them one.
    """
    wanted = table.row_schema
    arrays = [
        (_anew(column) if any(map(_lacks_offsets, column.chunks)) else column).cast(kind.type)
        for column, kind in zip(rows.columns, wanted, strict=True)
    ]
    return pa.table(arrays, schema=wanted)


def _lacks_offsets(array: pa.Array) -> bool:
    """Whether an array, or a list or struct in it, lacks its offsets."""
    if pa.types.is_struct(array.type):
        return any(map(_lacks_offsets, array.flatten()))
    if not _has_offsets(array.type):
        return False
    offsets = array.buffers()[1]
    if offsets is None or not offsets.size:
        return True
    return pa.types.is_list(array.type) and _lacks_offsets(array.values)


def _has_offsets(kind: pa.DataType) -> bool:
    return any(
        is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_binary, pa.types.is_list)
    )


def _anew(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.concat_arrays([*column.chunks, pa.array([], column.type)])])

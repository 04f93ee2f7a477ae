"""Prune a table's files: find those that can hold rows which meet some conditions, by the log's statistics."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Condition = tuple[str, str, Any]  # column; = in < <= > >=; a value, or for "in" several

# Spark cuts a time in a file's statistics to milliseconds, so that its largest may be too small.
_CUT = timedelta(milliseconds=1)


def prune(adds: pa.Table, schema: pa.Schema, where: Sequence[Condition]) -> pa.Table:
    """Return the files that can hold a row that meets all conditions.

    Args:
        adds: the files, as delta-rs's ``get_add_actions(flatten=True)`` gives them.
        schema: the table's columns.
        where: conditions on these columns. A file without statistics of a column stays.
    """
    for column, operator, value in where:
        kind = schema.field(column).type
        if operator == "in" and not list(value):
            return adds.slice(0, 0)
        if f"partition.{column}" in adds.column_names:
            adds = adds.filter(
                _meets(adds[f"partition.{column}"].cast(kind), operator, value, kind)
            )
        elif f"max.{column}" in adds.column_names:
            adds = adds.filter(_can_meet(adds, column, operator, value, kind))
    return adds


def _meets(values: pa.ChunkedArray, operator: str, value: Any, kind: pa.DataType) -> pa.Array:
    if operator == "in":
        return pc.is_in(values, pa.array(list(value), kind))
    return _compare(values, operator, pa.scalar(value, kind))


def _can_meet(
    adds: pa.Table, column: str, operator: str, value: Any, kind: pa.DataType
) -> pa.ChunkedArray:
    least, most = (adds[f"{bound}.{column}"].cast(kind) for bound in ("min", "max"))
    values = list(value) if operator == "in" else [value]
    bounds = []
    if operator in ("=", "in", ">", ">="):
        above = ">" if operator == ">" else ">="
        if pa.types.is_timestamp(kind):
            above, most = ">=", pc.add(most, pa.scalar(_CUT, pa.duration("us")))
        bounds.append(_compare(most, above, pa.scalar(min(values), kind)))
    if operator in ("=", "in", "<", "<="):
        below = "<" if operator == "<" else "<="
        bounds.append(_compare(least, below, pa.scalar(max(values), kind)))
    return reduce(pc.and_, (pc.fill_null(bound, True) for bound in bounds))


def _compare(values: pa.ChunkedArray, operator: str, value: pa.Scalar) -> pa.ChunkedArray:
    compare = {
        "=": pc.equal,
        "<": pc.less,
        "<=": pc.less_equal,
        ">": pc.greater,
        ">=": pc.greater_equal,
    }[operator]
    return compare(values, value)

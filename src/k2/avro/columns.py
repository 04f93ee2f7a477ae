"""Read many Avro records of one flat schema by columns: each field of all records before the next field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from k2.avro.cursor import Cursor
from k2.avro.payloads import Bools, Int64s, PayloadBuffer
from k2.avro.schema_resolution import READ_AS, Field
from k2.avro.string_view_array import are_utf8, string_view_array

# What is wrong with a record, in the order in which it is said.
PAYLOAD_REASONS = ("undecodable_payload", "trailing_bytes", "invalid_utf8")
FINE, UNDECODABLE, TRAILING, NOT_UTF8 = range(4)

Statuses = npt.NDArray[np.int8]

ARROW_TYPE = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "string": pa.string_view(),
}
_ONE_BYTE = 64  # branches whose number takes a byte
_SKIPPED = {"float": 4, "double": 8}


@dataclass
class _Column:
    """Values of some records: numbers, or for texts where they begin and how long they are."""

    values: Int64s
    lengths: Int64s
    valid: Bools

    @classmethod
    def empty(cls, count: int) -> "_Column":
        return cls(np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.bool_))

    def put(self, rows: Bools, part: "_Column") -> None:
        self.values[rows], self.lengths[rows] = part.values, part.lengths
        self.valid[rows] = part.valid


def read_columns(
    payloads: PayloadBuffer,
    rows: Int64s,
    skipped: int,
    writer: Iterable[Field],
    reader: Iterable[Field],
) -> tuple[pa.Table, Statuses]:
    """Read the records ``rows``, without their first ``skipped`` bytes.

    Returns:
        The reader's fields, a row for each good record, texts as string_view; and what is wrong with
        each record: 0, or 1 + its place in ``PAYLOAD_REASONS``.
    """
    reader = tuple(reader)
    wanted = {field.name: field for field in reader}
    cursor = Cursor.at(payloads, rows, skipped)
    columns = {}
    for field in writer:
        column = _field(cursor, field, wanted.get(field.name))
        if field.name in wanted:  # of a writer's hundreds of other fields none is kept
            columns[field.name] = column
    problems = np.where(cursor.is_valid, FINE, UNDECODABLE).astype(np.int8)
    problems[cursor.finish()] = TRAILING
    for field in reader:
        if field.kind == "string" and field.name in columns:
            _check_texts(payloads, columns[field.name], problems)
    good = None if not problems.any() else problems == FINE
    made = [_made(payloads, field, columns, good, rows.size) for field in reader]
    return pa.table(made, names=[field.name for field in reader]), problems


def _field(cursor: Cursor, field: Field, wanted: Field | None) -> _Column:
    """Read one field; records with a value that the reader's schema cannot take are bad from then on."""
    if not field.is_union:
        return _value(cursor, field.kinds[0], wanted)
    same = cursor.read_same_branch(min(len(field.kinds), _ONE_BYTE))
    if same is not None:
        return _value(cursor, field.kinds[same], wanted)
    column = _Column.empty(cursor.positions.size)
    branches = cursor.read_long()
    cursor.is_valid &= (branches >= 0) & (branches < len(field.kinds))
    for number, kind in enumerate(field.kinds):
        chosen = cursor.is_valid & (branches == number)
        if chosen.all():
            return _value(cursor, kind, wanted)
        if chosen.any():
            part = cursor.part(chosen)
            column.put(chosen, _value(part, kind, wanted))
            cursor.join(chosen, part)
    return column


def _value(cursor: Cursor, kind: str, wanted: Field | None) -> _Column:
    count = cursor.positions.size
    none = np.zeros(count, np.int64)
    if kind == "null":
        if wanted is not None and not wanted.is_nullable:
            cursor.is_valid[:] = False
        return _Column.empty(count)
    if wanted is not None and kind not in READ_AS[wanted.kind]:
        cursor.is_valid[:] = False
    there = np.ones(count, np.bool_)
    if kind in ("bytes", "string"):
        return _Column(*cursor.read_bytes(), there)
    if kind == "boolean":
        return _Column(cursor.read_boolean().astype(np.int64), none, there)
    if kind in _SKIPPED:
        cursor.skip(_SKIPPED[kind])
        return _Column(none, none, there)
    return _Column(cursor.read_int() if kind == "int" else cursor.read_long(), none, there)


def _check_texts(payloads: PayloadBuffer, column: _Column, problems: Statuses) -> None:
    rows = np.flatnonzero((problems == FINE) & column.valid)
    good = are_utf8(payloads, column.values[rows], column.lengths[rows])
    problems[rows[~good]] = NOT_UTF8


def _made(
    payloads: PayloadBuffer,
    field: Field,
    columns: Mapping[str, _Column],
    good: Bools | None,
    count: int,
) -> pa.Array:
    if field.name not in columns:
        count = count if good is None else int(good.sum())
        return pa.repeat(pa.scalar(field.default, ARROW_TYPE[field.kind]), count)
    column = columns[field.name]
    if good is not None:
        column = _Column(column.values[good], column.lengths[good], column.valid[good])
    if not column.valid.any():
        return pa.nulls(column.valid.size, ARROW_TYPE[field.kind])
    if field.kind == "string":
        return string_view_array(payloads, column.values, column.lengths, column.valid)
    mask = None if column.valid.all() else ~column.valid
    if field.kind == "boolean":
        return pa.array(column.values == 1, mask=mask)
    return pa.array(column.values, mask=mask).cast(ARROW_TYPE[field.kind])

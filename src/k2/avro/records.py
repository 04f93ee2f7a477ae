"""Read Avro records of any schema one by one: for schemas that are not flat, which are rare.

Whatever the schema and the bytes, a record takes time and memory in proportion to its length.

Source: the Avro specification, "Binary Encoding" and "Schema Resolution".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from k2.avro.columns import ARROW_TYPE, FINE, NOT_UTF8, TRAILING, UNDECODABLE, Statuses
from k2.avro.schema_resolution import READ_AS, Field, record_fields
from k2.avro.schema_tree import Array, AvroType, Enum, Fixed, Named, Record, SchemaTree, Union

_MAX_LONG_BYTES = 10
# Of a record of nested types each byte is looked at some times. Types without bytes, such as an array of
# a billion nulls, would take for ever.
_MAX_STEPS_PER_BYTE = 16
_BYTES_OF = {"null": 0, "float": 4, "double": 8}


class _Unreadable(Exception):
    """The bytes are no record of the schema, or the reader's schema cannot take it."""


def read_records(
    values: Iterable[bytes], writer: SchemaTree, reader: Iterable[Field]
) -> tuple[pa.Table, Statuses]:
    """Read the payloads; the result is that of :func:`~k2.avro.columns.read_columns`, but slower."""
    reader = tuple(reader)
    fields = {field.name: field for field in reader}
    read = [_read(value, writer, fields) for value in values]
    rows = [row for row, _ in read if row is not None]
    columns = {
        field.name: pa.array([row[field.name] for row in rows], ARROW_TYPE[field.kind])
        for field in reader
    }
    return pa.table(columns), np.array([problem for _, problem in read], np.int8)


def _read(
    value: bytes, writer: SchemaTree, reader: Mapping[str, Field]
) -> tuple[dict[str, Any] | None, int]:
    fields = record_fields(writer)
    bytes_ = _Bytes(value, writer.named, _MAX_STEPS_PER_BYTE * (len(value) + len(fields) + 100))
    row = {name: field.default for name, field in reader.items()}
    try:
        for name, kind in fields:
            if name in reader:
                row[name] = bytes_.read(kind, reader[name])
            else:
                bytes_.skip(kind)
    except (_Unreadable, RecursionError):
        return None, UNDECODABLE
    if bytes_.place < len(value):
        return None, TRAILING
    try:
        string_view_array = {
            name: data.decode() for name, data in row.items() if isinstance(data, bytes)
        }
    except UnicodeDecodeError:
        return None, NOT_UTF8
    return row | string_view_array, FINE


@dataclass
class _Bytes:
    """A record's bytes, and how far they have been read."""

    data: bytes
    named: Mapping[str, Any]
    steps_left: int
    place: int = 0

    def read(self, kind: AvroType, wanted: Field) -> Any:
        """Read a value of a field that the reader has; a text as its bytes."""
        if isinstance(kind, Union):
            return self.read(self._branch(kind), wanted)
        if kind == "null" and wanted.is_nullable:
            return None
        if not isinstance(kind, str) or kind not in READ_AS[wanted.kind]:
            raise _Unreadable
        if kind in ("bytes", "string"):
            return self._take(self._long())
        if kind == "boolean":
            return self._number_below(2, self._take(1)[0]) == 1
        return self._int() if kind == "int" else self._long()

    def skip(self, kind: AvroType) -> None:
        """Skip a value, checking that it is valid."""
        self.steps_left -= 1
        if self.steps_left < 0:
            raise _Unreadable
        match kind:
            case Named(name):
                self._skip_named(self.named[name])
            case Union():
                self.skip(self._branch(kind))
            case Array():
                self._skip_blocks(kind)
            case "boolean":
                self._number_below(2, self._take(1)[0])
            case "int":
                self._int()
            case "long":
                self._long()
            case "bytes" | "string":
                self._take(self._long())
            case _:
                self._take(_BYTES_OF[kind])

    def _skip_named(self, kind: Record | Enum | Fixed) -> None:
        match kind:
            case Record(fields):
                for _, type_ in fields:
                    self.skip(type_)
            case Enum(symbols):
                self._number_below(len(symbols), self._int())
            case Fixed(size):
                self._take(size)

    def _skip_blocks(self, array: Array) -> None:
        while count := self._long():
            end = None
            if count < 0:  # then the block says its size
                size = self._long()
                end = self.place + size
            for _ in range(abs(count)):
                if array.is_map:
                    self.skip("string")
                self.skip(array.items)
            if end is not None and self.place != end:
                raise _Unreadable

    def _branch(self, union: Union) -> AvroType:
        return union.branches[self._number_below(len(union.branches), self._long())]

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.place:
            raise _Unreadable
        self.place += count
        return self.data[self.place - count : self.place]

    def _long(self) -> int:
        """Read a number, which must be in its shortest form."""
        value = 0
        for number in range(_MAX_LONG_BYTES):
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                if (number and not byte) or value >= 2**64:
                    raise _Unreadable
                return (value >> 1) ^ -(value & 1)
        raise _Unreadable

    def _int(self) -> int:
        value = self._long()
        if not -(2**31) <= value < 2**31:
            raise _Unreadable
        return value

    @staticmethod
    def _number_below(end: int, number: int) -> int:
        if not 0 <= number < end:
            raise _Unreadable
        return number

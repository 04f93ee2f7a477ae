"""Decode Avro bytes to raw records, or say why that fails. One row in, one row out."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from k2.avro.columns import ARROW_TYPE, PAYLOAD_REASONS, Statuses, read_columns
from k2.avro.payloads import Int64s, PayloadBuffer
from k2.avro.records import read_records
from k2.avro.schema_resolution import can_be_read, flat_fields, reader_fields, writer_tree
from k2.avro.wire_format import HEADER_LENGTH, header

LARGEST_VALUE = 64 * 1024

DECODE, SCHEMA = "decode", "schema"

_FRAME = ("null_value", "empty_value", "oversized_value", "wrong_magic_byte", "truncated_header")
UNKNOWN_SCHEMA = "unknown_schema_id"  # the registry knows no such id
_OF_SCHEMA = (UNKNOWN_SCHEMA, "incompatible_schema")
_REASONS = (*PAYLOAD_REASONS, *_FRAME, *_OF_SCHEMA)
_CODE = {reason: code for code, reason in enumerate(_REASONS, 1)}  # 0: none


class Decoded(NamedTuple):
    """The decoded records and the errors: every record is in one of the two.

    ``raw`` has the reader's fields, a row for each of the records ``rows``. ``errors`` has a row for
    each of ``unread``: ``error_type``, ``decode`` or ``schema``, and ``error_reason``.
    """

    rows: Int64s
    raw: pa.Table
    unread: Int64s
    errors: pa.Table


def decode(
    values: pa.Array | pa.ChunkedArray, writer_schemas: Mapping[int, str | None], reader: str
) -> Decoded:
    """Read records in the Confluent wire format with their writers' schemas, into the reader's.

    Args:
        values: the records' bytes.
        writer_schemas: Avro schema by id; None where the registry knows no such id. An id that is not
            in the mapping counts as unknown too.
        reader: the Avro schema of K2's raw record, that all writers' records are resolved into.

    Nothing is raised whatever a record contains, and no length in it is trusted when memory is allocated.
    """
    payloads = PayloadBuffer.of(values)
    codes, ids = _framed(payloads)
    parts: list[tuple[Int64s, pa.Table]] = [(np.empty(0, np.int64), _nothing(reader))]
    for id_ in np.unique(ids[codes == 0]).tolist():
        rows = np.flatnonzero((codes == 0) & (ids == id_))
        writer = writer_schemas.get(id_)
        if writer is None:
            codes[rows] = _CODE[UNKNOWN_SCHEMA]
        elif not can_be_read(writer, reader):
            codes[rows] = _CODE["incompatible_schema"]
        else:
            raw, codes[rows] = _read(payloads, rows, writer, reader)
            parts.append((rows[codes[rows] == 0], raw))
    unread = np.flatnonzero(codes)
    return Decoded(
        np.concatenate([rows for rows, _ in parts]),
        pa.concat_tables([raw for _, raw in parts]),
        unread,
        _said(codes[unread]),
    )


def _framed(payloads: PayloadBuffer) -> tuple[Statuses, Int64s]:
    """What is wrong with each record's frame, and the schema id in it."""
    ids, is_framed = header(payloads)
    lengths = payloads.lengths
    first = payloads.data[payloads.starts]
    wrong = {
        "null_value": ~payloads.valid,
        "empty_value": lengths == 0,
        "oversized_value": lengths > LARGEST_VALUE,
        "wrong_magic_byte": first != 0,
        "truncated_header": ~is_framed,
    }
    codes = np.zeros(len(payloads), np.int8)
    for reason in reversed(_FRAME):  # the first that holds is said
        codes[wrong[reason]] = _CODE[reason]
    return codes, ids


def _read(
    payloads: PayloadBuffer, rows: Int64s, writer: str, reader: str
) -> tuple[pa.Table, Statuses]:
    wanted, flat, tree = reader_fields(reader), flat_fields(writer), writer_tree(writer)
    if flat is not None or tree is None:
        return read_columns(payloads, rows, HEADER_LENGTH, flat or (), wanted)
    ends = payloads.starts + payloads.lengths
    each = (
        payloads.data[payloads.starts[row] + HEADER_LENGTH : ends[row]].tobytes() for row in rows
    )
    return read_records(each, tree, wanted)


def _nothing(reader: str) -> pa.Table:
    schema = pa.schema([(field.name, ARROW_TYPE[field.kind]) for field in reader_fields(reader)])
    return schema.empty_table()


def _said(codes: Statuses) -> pa.Table:
    """The errors' types and reasons as text."""
    kinds = [None, *(SCHEMA if reason in _OF_SCHEMA else DECODE for reason in _REASONS)]
    chosen = {"error_type": kinds, "error_reason": [None, *_REASONS]}
    at = pa.array(codes)
    return pa.table({name: pa.array(texts, pa.string()).take(at) for name, texts in chosen.items()})

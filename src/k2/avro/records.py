"""Avro records of any schema, read one by one with fastavro: for what is not flat, which is rare."""

import json
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from k2.avro.columns import ARROW_TYPE, FINE, NOT_UTF8, TRAILING, UNDECODABLE, Problems
from k2.avro.schema_resolution import Field

# What fastavro raises on bytes that are no record of a schema.
_NOT_READ = (
    *(EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError),
    *(MemoryError, RecursionError, StopIteration),
)


def read_records(
    values: Iterable[bytes], writer: str, reader: str, fields: Iterable[Field]
) -> tuple[pa.Table, Problems]:
    """Read the payloads; as :func:`~k2.avro.columns.read_columns`, without its haste.

    Each record is written again with its writer's schema and must give the same bytes.
    """
    read = [_read(value, _parsed(writer), _parsed(reader)) for value in values]
    rows = [record for record, _ in read if record is not None]
    columns = {
        field.name: pa.array([row[field.name] for row in rows], ARROW_TYPE[field.kind])
        for field in fields
    }
    return pa.table(columns), np.array([problem for _, problem in read], np.int8)


def _read(value: bytes, writer: Any, reader: Any) -> tuple[dict[str, Any] | None, int]:
    payload = BytesIO(value)
    try:
        record = schemaless_reader(payload, writer, reader)
        if payload.tell() != len(value):
            return None, TRAILING
        again = BytesIO()
        schemaless_writer(again, writer, schemaless_reader(BytesIO(value), writer, None))
    except UnicodeDecodeError:
        return None, NOT_UTF8
    except _NOT_READ:
        return None, UNDECODABLE
    except Exception as error:
        # Its own errors of resolution have no base but this.
        if not type(error).__module__.startswith("fastavro"):
            raise
        return None, UNDECODABLE
    if again.getvalue() != value:
        return None, UNDECODABLE
    return dict(record), FINE  # type: ignore[arg-type]


@cache
def _parsed(schema: str) -> Any:
    return parse_schema(json.loads(schema))

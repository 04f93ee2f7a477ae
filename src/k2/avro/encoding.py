"""Confluent's wire format: magic byte 0, the schema's id in 4 bytes, the Avro record.

Source: Confluent's documentation of the schema registry, "Wire format".
"""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer

MAGIC = b"\x00"

Encoder = Callable[[dict[str, Any]], bytes]


def header(schema_id: int) -> bytes:
    """Return the five bytes before a record."""
    return MAGIC + schema_id.to_bytes(4, "big")


def encoder(schema_text: str, schema_id: int) -> Encoder:
    """Return a function from a raw record to a message value."""
    schema = parse_schema(json.loads(schema_text))
    start = header(schema_id)

    def encode(record: dict[str, Any]) -> bytes:
        value = BytesIO()
        value.write(start)
        schemaless_writer(value, schema, record)
        return value.getvalue()

    return encode

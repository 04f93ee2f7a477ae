"""Avro bytes to a raw record, or the reason why not. One row in, one row out."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro, to_avro

from k2.transforms.wire_format import HEADER_LENGTH

LARGEST_VALUE = 64 * 1024

DECODE, SCHEMA = "decode", "schema"

# Reasons that are the schema's; the others are the payload's.
_OF_SCHEMA = ("unknown_schema_id", "incompatible_schema")

_FRAME, _PAYLOAD, _RAW, _EXACT = "_frame", "_payload", "raw", "_exact"


def decode(bronze: DataFrame, writer_schemas: Mapping[int, str | None], reader: str) -> DataFrame:
    """Add ``raw`` (the record in the reader schema) and, where there is none, the reason.

    Args:
        bronze: rows with ``value`` and ``schema_id``.
        writer_schemas: Avro schema by id for every id of ``bronze``; None where the registry
            knows no such id. An id that is not in the mapping counts as unknown too.
        reader: the Avro schema, a record with at least one field without default, that all
            writers' records are resolved into.

    Returns:
        The columns of ``bronze``, ``raw`` (struct), ``error_type`` (``decode``, ``schema`` or null)
        and ``error_reason`` (string or null). ``raw`` is null or all nulls where there is an error.

    ``from_avro`` takes truncated payloads for a record of nulls and does not see trailing bytes, so
    each record is written again with its writer's schema and must give the same bytes.
    """
    usable = {
        id_: schema
        for id_, schema in writer_schemas.items()
        if schema is not None and can_be_read(schema, reader)
    }
    framed = bronze.select("*", _frame_error().alias(_FRAME)).select(
        "*",
        F.when(
            F.col(_FRAME).isNull(), F.substring("value", HEADER_LENGTH + 1, LARGEST_VALUE)
        ).alias(_PAYLOAD),
    )
    read = framed.select("*", _by_schema(usable, reader, lambda s: _read(s, reader)).alias(_RAW))
    checked = read.select(
        "*", _by_schema(usable, reader, lambda s: _is_exact(s, reader)).alias(_EXACT)
    )
    reason = _reason(writer_schemas, usable, reader)
    judged = checked.select(*bronze.columns, "raw", reason.alias("error_reason"))
    error_type = F.when(F.col("error_reason").isin(*_OF_SCHEMA), SCHEMA).when(
        F.col("error_reason").isNotNull(), DECODE
    )
    return judged.select(*bronze.columns, "raw", error_type.alias("error_type"), "error_reason")


def can_be_read(writer: str, reader: str) -> bool:
    """Tell whether the writer's records can be resolved into the reader's and checked for loss.

    It must be a record of the reader's name that has all fields without default. Two kinds cannot be
    checked for loss, and count as incompatible: maps, which are written again in another order, and
    records within themselves, which Spark does not read. Types are left to the decoder: a field
    whose type cannot be promoted does not decode.
    """
    try:
        written = json.loads(writer)
        wanted = json.loads(reader)
        names = {field["name"] for field in written["fields"]}
        return (
            written["type"] == "record"
            and written["name"] == wanted["name"]
            and _can_be_checked(written, ())
            and _a_required_field(writer) is not None
            and all(field["name"] in names or "default" in field for field in wanted["fields"])
        )
    except (ValueError, TypeError, KeyError):  # not Avro, or not a record
        return False


def _can_be_checked(kind: Any, within: tuple[str, ...]) -> bool:
    if isinstance(kind, list):
        return all(_can_be_checked(branch, within) for branch in kind)
    if isinstance(kind, str):
        return kind.rsplit(".", 1)[-1] not in within
    if kind["type"] == "record":
        within = (*within, kind["name"])
        return all(_can_be_checked(field["type"], within) for field in kind["fields"])
    if kind["type"] == "array":
        return _can_be_checked(kind["items"], within)
    return bool(kind["type"] != "map")


def _frame_error() -> Column:
    value, length = F.col("value"), F.length("value")
    return (
        F.when(value.isNull(), "null_value")
        .when(length == 0, "empty_value")
        .when(length > LARGEST_VALUE, "oversized_value")
        .when(F.substring(value, 1, 1) != F.lit(b"\0"), "wrong_magic_byte")
        .when(length < HEADER_LENGTH, "truncated_header")
    )


def _reason(writers: Mapping[int, str | None], usable: Mapping[int, str], reader: str) -> Column:
    known = [id_ for id_, schema in writers.items() if schema is not None]
    schema_id = F.col("schema_id")
    # An empty isin() would be null for a null id; an id of null is unknown, not null.
    is_known = F.coalesce(schema_id.isin(known), F.lit(False)) if known else F.lit(False)
    is_usable = F.coalesce(schema_id.isin(list(usable)), F.lit(False)) if usable else F.lit(False)
    unknown, incompatible = _OF_SCHEMA
    unread = F.col(_RAW).getField(_required_field(reader)).isNull()
    return F.coalesce(
        F.col(_FRAME),
        F.when(~is_known, unknown)
        .when(~is_usable, incompatible)
        .when(unread, "undecodable_payload")
        .when(~F.coalesce(F.col(_EXACT), F.lit(False)), "trailing_bytes")
        .when(_has_broken_text(reader), "invalid_utf8"),
    )


def _by_schema(
    schemas: Mapping[int, str], fallback: str, expression: Callable[[str], Column]
) -> Column:
    case = F.when(F.lit(False), expression(fallback))  # gives the CASE its type
    for id_, schema in schemas.items():
        case = case.when(F.col("schema_id") == id_, expression(schema))
    return case


def _read(writer: str, reader: str) -> Column:
    return from_avro(F.col(_PAYLOAD), writer, {"mode": "PERMISSIVE", "avroSchema": reader})


def _is_exact(writer: str, reader: str) -> Column:
    same = json.loads(writer) == json.loads(reader)
    written = F.col(_RAW) if same else from_avro(F.col(_PAYLOAD), writer, {"mode": "PERMISSIVE"})
    # to_avro fails on the nulls that stand for an undecodable record, so it must not see them.
    decoded = written.getField(_required_field(writer)).isNotNull()
    return F.when(decoded, to_avro(written, writer) == F.col(_PAYLOAD))


def _a_required_field(schema: str) -> str | None:
    """A field that is null only in what did not decode; None when all may be null."""
    for field in json.loads(schema)["fields"]:
        nullable = field["type"] == "null" or (
            isinstance(field["type"], list) and "null" in field["type"]
        )
        if not nullable:
            return str(field["name"])
    return None


def _has_broken_text(reader: str) -> Column:
    """Whether a string is not UTF-8. Spark keeps whatever bytes came, which others cannot read.

    Of "not all are", Spark's optimizer would undo one string at each of its passes.
    """
    broken = F.lit(False)
    for field in json.loads(reader)["fields"]:
        if field["type"] == "string" or (
            isinstance(field["type"], list) and "string" in field["type"]
        ):
            text = F.col(_RAW).getField(field["name"])
            broken = broken | ~F.coalesce(F.is_valid_utf8(text), F.lit(True))
    return broken


def _required_field(schema: str) -> str:
    name = _a_required_field(schema)
    if name is None:
        raise ValueError("an Avro record of which every field may be null cannot be told from none")
    return name

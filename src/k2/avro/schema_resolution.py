"""What a writer's Avro schema says, and how its fields become those of the reader's.

Source: the Avro specification, "Schema Resolution".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_PRIMITIVE = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string"},
)
# What is read in columns, and what else each may have been written as.
READ_AS: Mapping[str, frozenset[str]] = {
    "boolean": frozenset({"boolean"}),
    "int": frozenset({"int"}),
    "long": frozenset({"long", "int"}),
    "string": frozenset({"string", "bytes"}),
}


@dataclass(frozen=True)
class Field:
    """A field of a flat record: the primitive types that its value may be of, in order.

    ``is_union`` says that the value begins with which of them it is.
    """

    name: str
    kinds: tuple[str, ...]
    is_union: bool = False
    default: Any = None
    has_default: bool = False

    @property
    def is_nullable(self) -> bool:
        """Whether null is a value of it."""
        return "null" in self.kinds

    @property
    def kind(self) -> str:
        """Its type beside null, where that is one."""
        (kind,) = (kind for kind in self.kinds if kind != "null")
        return kind


@cache
def flat_fields(schema: str) -> tuple[Field, ...] | None:
    """Return the fields of a record of nothing but primitive types; None for another schema."""
    fields = []
    for said in json.loads(schema)["fields"]:
        is_union = isinstance(said["type"], list)
        kinds = tuple(map(_primitive, said["type"] if is_union else [said["type"]]))
        if None in kinds:
            return None
        known = tuple(kind for kind in kinds if kind is not None)
        has_default = "default" in said
        fields.append(Field(said["name"], known, is_union, said.get("default"), has_default))
    return tuple(fields)


@cache
def reader_fields(schema: str) -> tuple[Field, ...]:
    """Return the fields of a raw record, K2's own: each of one type that is read in columns, or null.

    Raises:
        ValueError: the schema is not like that, which is a mistake in a definition.
    """
    fields = flat_fields(schema)
    if fields is None or any(_beside_null(field) not in READ_AS for field in fields):
        kinds = ", ".join(READ_AS)
        raise ValueError(
            f"a raw record has fields of the types {kinds}, each perhaps null: {schema}"
        )
    if all(field.is_nullable for field in fields):
        raise ValueError("an Avro record of which every field may be null cannot be told from none")
    return fields


@cache
def can_be_read(writer: str, reader: str) -> bool:
    """Tell whether the writer's records can be resolved into the reader's and checked for loss.

    It must be a record of the reader's name that has all fields without default. Two kinds cannot be
    checked for loss, and count as incompatible: maps, which are written again in another order, and
    records within themselves. Types are left to the decoder: a field whose type cannot be promoted
    does not decode.
    """
    try:
        written, wanted = json.loads(writer), json.loads(reader)
        names = {field["name"] for field in written["fields"]}
        return (
            written["type"] == "record"
            and written["name"] == wanted["name"]
            and _can_be_checked(written, ())
            and all(field["name"] in names or "default" in field for field in wanted["fields"])
        )
    except (ValueError, TypeError, KeyError):  # not Avro, or not a record
        return False


def _primitive(kind: Any) -> str | None:
    """The primitive type that a type is, a logical type being what it is written as."""
    if isinstance(kind, dict):
        kind = kind.get("type")
    return kind if isinstance(kind, str) and kind in _PRIMITIVE else None


def _beside_null(field: Field) -> str | None:
    kinds = [kind for kind in field.kinds if kind != "null"]
    return kinds[0] if len(kinds) == 1 else None


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

"""Resolve a writer's Avro schema into the reader's.

Source: the Avro specification, "Schema Resolution".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from k2.avro.schema_tree import AvroType, Named, Record, SchemaTree, Union, parse_tree

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

    ``is_union`` says that the value begins with the number of its type.
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
def writer_tree(schema: str) -> SchemaTree | None:
    """Return a writer's schema as a tree; None when it is no record of Avro."""
    try:
        tree = parse_tree(schema)
        record_fields(tree)
    except ValueError:
        return None
    return tree


@cache
def flat_fields(schema: str) -> tuple[Field, ...] | None:
    """Return the fields of a record of nothing but primitive types; None for another schema."""
    tree = writer_tree(schema)
    fields = []
    for name, kind in record_fields(tree) if tree else ():
        is_union = isinstance(kind, Union)
        kinds = kind.branches if isinstance(kind, Union) else (kind,)
        primitive = tuple(each for each in kinds if isinstance(each, str))
        if len(primitive) < len(kinds):
            return None
        fields.append(Field(name, primitive, is_union))
    return None if tree is None else tuple(fields)


@cache
def reader_fields(schema: str) -> tuple[Field, ...]:
    """Return the fields of a raw record, K2's own: each of one type that is read in columns, or null.

    Raises:
        ValueError: the schema is different, which is a mistake in a definition.
    """
    flat = flat_fields(schema)
    if flat is None or any(_beside_null(field) not in READ_AS for field in flat):
        kinds = ", ".join(READ_AS)
        raise ValueError(
            f"a raw record has fields of the types {kinds}, each perhaps null: {schema}"
        )
    if all(field.is_nullable for field in flat):
        raise ValueError("an Avro record of which every field may be null cannot be told from none")
    written = {field["name"]: field for field in json.loads(schema)["fields"]}
    return tuple(
        (
            replace(field, default=written[field.name]["default"], has_default=True)
            if "default" in written[field.name]
            else field
        )
        for field in flat
    )


@cache
def can_be_read(writer: str, reader: str) -> bool:
    """Tell whether the writer's records can be resolved into the reader's.

    It must be a record of the reader's name, whatever its namespace, that has all fields without
    default. Types are left to the decoder: a field whose type cannot be promoted does not decode.
    """
    tree = writer_tree(writer)
    if tree is None or _record_name(tree) != json.loads(reader)["name"].rsplit(".", 1)[-1]:
        return False
    names = {name for name, _ in record_fields(tree)}
    return all(field.name in names or field.has_default for field in reader_fields(reader))


def record_fields(tree: SchemaTree) -> tuple[tuple[str, AvroType], ...]:
    """Return the fields, name and type, of a schema that is a record.

    Raises:
        ValueError: it is no record.
    """
    record = tree.named[tree.root.name] if isinstance(tree.root, Named) else None
    if not isinstance(record, Record):
        raise ValueError("the schema is no record")
    return record.fields


def _record_name(tree: SchemaTree) -> str | None:
    """A record's name without its namespace, by which the specification compares them."""
    return tree.root.name.rsplit(".", 1)[-1] if isinstance(tree.root, Named) else None


def _beside_null(field: Field) -> str | None:
    kinds = [kind for kind in field.kinds if kind != "null"]
    return kinds[0] if len(kinds) == 1 else None

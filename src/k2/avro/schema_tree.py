"""Parse an Avro schema, from any JSON form of it, into a tree without what does not affect the bytes.

Logical types, docs, defaults, aliases and properties say nothing about how a record lies in bytes: a
logical type reads as its base. Names and symbols are taken as they are, also those that the specification
does not allow: a registry may have them, and the bytes can be read all the same.

Source: the Avro specification, "Schema Declaration", "Names" and "Parsing Canonical Form for Schemas".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True)
class Named:
    """A record, an enum or a fixed, by its full name."""

    name: str


@dataclass(frozen=True)
class Array:
    """Blocks of items; of a map each begins with its key."""

    items: "AvroType"
    is_map: bool = False


@dataclass(frozen=True)
class Union:
    """One of several types: its number comes first."""

    branches: tuple["AvroType", ...]


@dataclass(frozen=True)
class Record:
    """Fields one after the other: name and type."""

    fields: tuple[tuple[str, "AvroType"], ...]


@dataclass(frozen=True)
class Enum:
    """The number of a symbol."""

    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Fixed:
    """So many bytes."""

    size: int


AvroType = str | Named | Array | Union  # text: a primitive type
Definition = Record | Enum | Fixed


@dataclass(frozen=True)
class SchemaTree:
    """A schema: its own type, and all named types in it by their full names."""

    root: AvroType
    named: Mapping[str, Definition]

    def canonical_text(self) -> str:
        """Return the schema in Parsing Canonical Form: equal texts read equal bytes."""
        return json.dumps(_Writing(self.named).write(self.root), separators=(",", ":"))


def parse_tree(text: str, references: Iterable[str] = ()) -> SchemaTree:
    """Read a schema; ``references`` are the schemas that it refers to, each after those that it needs.

    Raises:
        ValueError: it is no Avro schema.
    """
    reading = _Reading({})
    try:
        for reference in references:
            reading.read(json.loads(reference), "")
        root = reading.read(json.loads(text), "")
    except (TypeError, KeyError, RecursionError, AttributeError) as error:
        raise ValueError(f"no Avro schema: {type(error).__name__} {error}") from error
    return SchemaTree(root, reading.named)


@dataclass
class _Reading:
    named: dict[str, Definition]

    def read(self, kind: Any, namespace: str) -> AvroType:
        if isinstance(kind, str):
            return kind if kind in PRIMITIVES else self._find(kind, namespace)
        if isinstance(kind, list):
            branches = tuple(self.read(branch, namespace) for branch in kind)
            if any(isinstance(branch, Union) for branch in branches):
                raise ValueError("a union in a union")
            return Union(branches)
        match kind["type"]:
            case "record" | "error" | "enum" | "fixed":
                return self._define(kind, namespace)
            case "array":
                return Array(self.read(kind["items"], namespace))
            case "map":
                return Array(self.read(kind["values"], namespace), is_map=True)
            case nested:
                return self.read(nested, namespace)

    def _find(self, name: str, namespace: str) -> Named:
        for full in (_full_name(name, namespace), name):
            if full in self.named:
                return Named(full)
        raise ValueError(f"no type {name!r}")

    def _define(self, kind: Any, namespace: str) -> Named:
        name = _full_name(kind["name"], kind.get("namespace", namespace) or "")
        if name in self.named:
            raise ValueError(f"two types {name!r}")
        namespace = name.rpartition(".")[0]
        if kind["type"] == "enum":
            self.named[name] = Enum(tuple(map(str, list(kind["symbols"]))))
        elif kind["type"] == "fixed":
            self.named[name] = Fixed(_size(kind["size"]))
        else:
            self.named[name] = Record(())  # its own fields may name it
            self.named[name] = self._record(list(kind["fields"]), namespace)
        return Named(name)

    def _record(self, fields: list[Any], namespace: str) -> Record:
        read = tuple(
            (_name(field["name"]), self.read(field["type"], namespace)) for field in fields
        )
        if len({name for name, _ in read}) < len(read):
            raise ValueError("two fields of one name")
        return Record(read)


@dataclass
class _Writing:
    named: Mapping[str, Definition]
    _written: frozenset[str] = frozenset()

    def write(self, kind: AvroType) -> Any:
        match kind:
            case Union(branches):
                return [self.write(branch) for branch in branches]
            case Array(items, is_map):
                keys = ("map", "values") if is_map else ("array", "items")
                return {"type": keys[0], keys[1]: self.write(items)}
            case Named(name) if name not in self._written:
                self._written |= {name}
                return {"name": name, **self._defined(self.named[name])}
            case Named(name):
                return name
            case primitive:
                return primitive

    def _defined(self, kind: Definition) -> dict[str, Any]:
        match kind:
            case Enum(symbols):
                return {"type": "enum", "symbols": list(symbols)}
            case Fixed(size):
                return {"type": "fixed", "size": size}
            case Record(fields):
                written = [{"name": name, "type": self.write(type_)} for name, type_ in fields]
                return {"type": "record", "fields": written}


def _full_name(name: Any, namespace: Any) -> str:
    return name if "." in _name(name) or not namespace else f"{_name(namespace)}.{name}"


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ValueError(f"{name!r} is no name")
    return name


def _size(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ValueError(f"{size!r} is no size")
    return size

"""Writers' schemas that K2 did not write: a record becomes a raw record or says why not, always."""

import json
import random
import struct
from copy import deepcopy

import pyarrow as pa
import pytest

from k2.avro.decode import decode
from tests.support.trades import KRAKEN_V2_ID, SCHEMA_TEXT, avro, framed, header, kraken_raw

pytestmark = pytest.mark.unit

READER_SCHEMA = SCHEMA_TEXT[KRAKEN_V2_ID]
OWN_FIELDS = json.loads(READER_SCHEMA)["fields"]
ODD_ID = 300
SCHEMAS_AT_ONCE = 100
GOOD = framed(kraken_raw())
SIDE = {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}}
DASHED = {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a-b", "c d"]}}
MILLIS = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
AMOUNT = {
    "name": "amount",
    "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
}
UUID = {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}}
NULLS = {"name": "nulls", "type": {"type": "array", "items": "null"}}
ENDLESS = {"name": "endless", "type": "KrakenRawTrade"}


def schema_of(*added, before=(), **attributes):
    """The newest Kraken schema with fields after, or before, its own."""
    fields = [*before, *OWN_FIELDS, *added]
    return json.dumps(json.loads(READER_SCHEMA) | {"fields": fields} | attributes)


def number(value):
    """Write a long as the specification says: zigzag, seven bits a byte, lowest first."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


OWN_BYTES = avro(kraken_raw(), READER_SCHEMA)
OWN_VALUES = {
    field["name"]: avro(kraken_raw(), json.dumps(json.loads(READER_SCHEMA) | {"fields": [field]}))
    for field in OWN_FIELDS
}


def read(schema, *payloads):
    """Each payload of the odd schema, raw or why not; and that a good record beside is read."""
    values = [GOOD, *(header(ODD_ID) + payload for payload in payloads)]
    found = decode(
        pa.array(values, pa.binary()),
        {KRAKEN_V2_ID: READER_SCHEMA, ODD_ID: schema},
        READER_SCHEMA,
    )
    places = [*found.rows.tolist(), *found.unread.tolist()]
    assert sorted(places) == list(range(len(values)))
    said = [*found.raw.to_pylist(), *found.errors.to_pylist()]
    rows = dict(zip(places, said, strict=True))
    assert rows[0] == kraken_raw()
    return [rows[place] for place in range(1, len(values))]


@pytest.mark.parametrize(
    ("schema", "added"),
    [
        pytest.param(schema_of(MILLIS, SIDE), number(2**62) + b"\2", id="time beyond year 9999"),
        pytest.param(schema_of(AMOUNT, SIDE), number(9) + b"\xff" * 9 + b"\2", id="long decimal"),
        pytest.param(schema_of(UUID, SIDE), number(2) + b"no" + b"\2", id="text that is no UUID"),
        pytest.param(schema_of(DASHED), b"\2", id="symbols with a dash and a space"),
        pytest.param(schema_of(NULLS), number(3) + b"\0", id="values without bytes"),
        pytest.param(
            schema_of({"name": "a-b", "type": {"type": "array", "items": "int"}}),
            number(-2) + number(2) + b"\2\4" + b"\0",
            id="a block that says its size, of a name with a dash",
        ),
        pytest.param(
            schema_of(
                SIDE,
                {"name": "far", "type": {"type": "fixed", "name": "io.other.F", "size": 3}},
                {"name": "again", "type": ["null", "io.other.F", "io.k2.raw.Kind"]},
            ),
            b"\2xyz" + b"\4" + b"\0",
            id="types by their full names",
        ),
    ],
)
def test_a_type_beside_ours_is_passed_over_as_its_bytes_lie(schema, added):
    (row,) = read(schema, OWN_BYTES + added)

    assert row == kraken_raw()


@pytest.mark.parametrize(
    "added",
    [
        pytest.param({}, id="namespace in the name"),
        pytest.param({"namespace": "elsewhere"}, id="namespace beside a full name"),
    ],
)
def test_the_schema_by_its_full_name_is_the_same(added):
    canonical = {"name": "io.k2.raw.KrakenRawTrade", "type": "record"}
    canonical["fields"] = [{"name": field["name"], "type": field["type"]} for field in OWN_FIELDS]

    (row,) = read(json.dumps(canonical | added), OWN_BYTES)

    assert row == kraken_raw()


def test_a_logical_type_reads_as_its_base():
    schema = json.loads(READER_SCHEMA)
    for field in schema["fields"]:
        if field["name"] == "ingestion_timestamp":
            field["type"] = {"type": "long", "logicalType": "timestamp-micros"}
        if field["name"] == "symbol":
            field["type"] = {"type": {"type": "string", "avro.java.string": "String"}}
    schema["fields"].append(SIDE)

    (row,) = read(json.dumps(schema), OWN_BYTES + b"\0")

    assert row == kraken_raw()


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(
            schema_of({"name": "x", "type": "io.k2.Unknown"}), id="a type that is not there"
        ),
        pytest.param(schema_of(SIDE, SIDE | {"name": "other"}), id="one type twice"),
        pytest.param(schema_of(SIDE, {"name": "kind", "type": "int"}), id="one field twice"),
        pytest.param(schema_of({"name": "x", "type": [["int"], "null"]}), id="a union in a union"),
        pytest.param(
            schema_of({"name": "x", "type": {"type": "fixed", "name": "F", "size": -1}}),
            id="a size below zero",
        ),
        pytest.param(schema_of(name=7), id="a number for a name"),
        pytest.param(schema_of(fields="all"), id="a text for the fields"),
        pytest.param(schema_of(type="protocol"), id="no record"),
        pytest.param('{"type": "object", "title": "KrakenRawTrade"}', id="JSON Schema"),
        pytest.param('syntax = "proto3"; message KrakenRawTrade {}', id="Protobuf"),
        pytest.param('{"type":' * 50_000, id="half of something deep"),
        pytest.param('{"type":' * 5_000 + '"int"' + "}" * 5_000, id="something deep"),
        pytest.param("9" * 5_000, id="a very large number"),
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
    ],
)
def test_what_is_no_record_of_ours_is_incompatible(schema):
    (row,) = read(schema, OWN_BYTES)

    assert row == {"error_type": "schema", "error_reason": "incompatible_schema"}


@pytest.mark.parametrize(
    ("schema", "added"),
    [
        pytest.param(schema_of(SIDE), b"\4", id="a symbol that is not there"),
        pytest.param(schema_of(NULLS), number(2**62) + b"\0", id="a billion billion nulls"),
        pytest.param(schema_of(ENDLESS), b"", id="a record in itself without end"),
        pytest.param(schema_of(before=[ENDLESS]), b"", id="a record that begins with itself"),
        pytest.param(
            schema_of({"name": "x", "type": ["null", "KrakenRawTrade"]}),
            (b"\2" + OWN_BYTES) * 800 + b"\0",
            id="a record in itself eight hundred times",
        ),
        pytest.param(
            schema_of({"name": "x", "type": {"type": "map", "values": "int"}}),
            number(2**62),
            id="a map of more than there is",
        ),
        pytest.param(
            schema_of({"name": "x", "type": {"type": "array", "items": "int"}}),
            number(-1) + number(5) + b"\2\0",
            id="a block of another size than it says",
        ),
    ],
)
def test_bytes_that_lie_do_not_decode(schema, added):
    (row,) = read(schema, OWN_BYTES + added)

    assert row == {"error_type": "decode", "error_reason": "undecodable_payload"}


def test_all_of_a_nested_record_is_checked():
    schema = schema_of(SIDE, MILLIS)
    whole = OWN_BYTES + b"\2" + number(1_700_000_000_000)

    rows = read(schema, *(whole[:end] for end in range(len(whole))), whole + b"\0", whole)

    assert [row.get("error_reason") for row in rows] == [
        *["undecodable_payload"] * len(whole),
        "trailing_bytes",
        None,
    ]


class Chance(random.Random):
    """Draws schemas, and bytes of them."""

    PRIMITIVE = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
    LOGICAL = (
        *("date", "time-millis", "timestamp-millis", "timestamp-micros", "local-timestamp-nanos"),
        *("decimal", "uuid", "duration", "anything"),
    )
    JUNK = (None, True, -1, 10**30, 1.5, "", "x.", ".", "null", "\ud800", [], {}, [[]], {"type": 1})

    def name(self):
        return f"{self.choice(('N', 'a-b', 'io.x.Y', 'é', '1', ' '))}{self.getrandbits(40)}"

    def type(self, depth=0):
        match self.randrange(9 if depth < 3 else 3):
            case 0 | 1:
                return self.choice(self.PRIMITIVE)
            case 2:
                logical = {"logicalType": self.choice(self.LOGICAL)}
                precision = {
                    "precision": self.choice((4, 0, -1, "x")),
                    "scale": self.choice((2, 9)),
                }
                return {"type": self.choice(self.PRIMITIVE), **logical, **precision}
            case 3:
                symbols = [self.name() for _ in range(self.randrange(1, 4))]
                return {"type": "enum", "name": self.name(), "symbols": symbols}
            case 4:
                return {"type": "fixed", "name": self.name(), "size": self.randrange(9)}
            case 5:
                return {"type": "array", "items": self.type(depth + 1)}
            case 6:
                return {"type": "map", "values": self.type(depth + 1)}
            case 7:
                branches = [self.type(depth + 1) for _ in range(self.randrange(1, 4))]
                return [branch for branch in branches if not isinstance(branch, list)] or ["int"]
            case _:
                fields = [
                    {"name": self.name(), "type": self.type(depth + 1)}
                    for _ in range(self.randrange(4))
                ]
                return {"type": "record", "name": self.name(), "fields": fields}

    def bytes_of(self, kind):
        """Any value of a type, written as the specification says."""
        if isinstance(kind, list):
            branch = self.randrange(len(kind))
            return number(branch) + self.bytes_of(kind[branch])
        match kind if isinstance(kind, str) else kind["type"]:
            case "null":
                return b""
            case "boolean":
                return bytes([self.randrange(2)])
            case "int":
                return number(self.randrange(-(2**31), 2**31) >> self.randrange(32))
            case "long":
                return number(self.randrange(-(2**63), 2**63) >> self.randrange(64))
            case "float":
                return struct.pack("<f", self.random())
            case "double":
                return struct.pack("<d", self.random())
            case "bytes" | "string":
                text = self.randbytes(self.randrange(9))
                return number(len(text)) + text
            case "enum":
                return number(self.randrange(len(kind["symbols"])))
            case "fixed":
                return self.randbytes(kind["size"])
            case "array":
                return self.blocks(lambda: self.bytes_of(kind["items"]))
            case "map":
                return self.blocks(lambda: number(1) + b"k" + self.bytes_of(kind["values"]))
            case _:
                return b"".join(self.bytes_of(field["type"]) for field in kind["fields"])

    def blocks(self, item):
        written = b""
        for _ in range(self.randrange(3)):
            items = [item() for _ in range(self.randrange(1, 4))]
            body = b"".join(items)
            says_size = self.random() < 0.5
            count = number(-len(items)) + number(len(body)) if says_size else number(len(items))
            written += count + body
        return written + b"\0"

    def spoil(self, node):
        """Put junk somewhere into a schema."""
        while isinstance(node, dict | list) and node:
            key = self.choice(list(node)) if isinstance(node, dict) else self.randrange(len(node))
            if not isinstance(node[key], dict | list) or self.random() < 0.3:
                node[key] = self.choice(self.JUNK)
                return
            node = node[key]


def draw_schema(chance):
    """A schema with foreign fields among ours, and the bytes of a record."""
    fields = deepcopy(OWN_FIELDS)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(fields) + 1)
        fields.insert(place, {"name": chance.name(), "type": chance.type()})
    value = b"".join(
        OWN_VALUES.get(field["name"]) or chance.bytes_of(field["type"]) for field in fields
    )
    return json.loads(READER_SCHEMA) | {"fields": fields}, value


def check_schemas(count):
    """Draw pairs of schemas, of which one is whole and of the other everything may be wrong."""
    chance = Chance(20261127)
    for _ in range(0, count, SCHEMAS_AT_ONCE):
        writers, values = {}, []
        for whole in range(0, SCHEMAS_AT_ONCE, 2):
            schema, value = draw_schema(chance)
            writers[whole] = json.dumps(schema)
            chance.spoil(schema)
            writers[whole + 1] = json.dumps(schema)
            damaged = bytearray(value)
            damaged[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
            values += [header(whole) + value, header(whole) + damaged]
            values += [header(whole + 1) + value, header(whole + 1) + damaged]
            values += [header(whole + 1) + chance.randbytes(chance.randrange(300))]

        found = decode(pa.array(values, pa.binary()), writers, READER_SCHEMA)

        places = [*found.rows.tolist(), *found.unread.tolist()]
        assert sorted(places) == list(range(len(values)))
        raw = dict(zip(found.rows.tolist(), found.raw.to_pylist(), strict=True))
        of_whole = [raw.get(place) for place in range(0, len(values), 5)]
        assert of_whole == [kraken_raw()] * len(of_whole), writers


def test_no_schema_stops_the_decoder():
    check_schemas(1_000)


@pytest.mark.slow
def test_none_of_twenty_thousand_schemas_stops_the_decoder():
    check_schemas(20_000)

"""The wire format, against payloads that nobody on this project made, and against fastavro."""

import json
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from k2.avro.encoding import encoder, header
from k2.avro.schema_files import schema_text
from k2.avro.schema_resolution import flat_fields
from k2.exchanges import EXCHANGES
from tests.support.recordings import INVENTED, SHARED

pytestmark = pytest.mark.unit

FILES = [
    INVENTED / "avro" / "wire_vectors.json",
    SHARED / "data" / "avro" / "confluent_wire_vectors.json",
]
VECTORS = [
    vector
    for file in FILES
    if file.is_file()
    for vector in json.loads(file.read_text())
    if vector["schema"]
]
SCHEMAS = [file for exchange in EXCHANGES for file in exchange.raw_schemas]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(codec="utf-8"), max_size=80),
    "long": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "null": st.none(),
}


def schema_of(*types: Any) -> str:
    fields = [{"name": f"f{place}", "type": kind} for place, kind in enumerate(types)]
    return json.dumps({"type": "record", "name": "R", "fields": fields})


@st.composite
def records(draw: Any) -> tuple[str, dict[str, Any]]:
    """A raw schema, and a record of it that may lack what may be null."""
    file = draw(st.sampled_from(SCHEMAS))
    record = {}
    for field in json.loads(schema_text(file))["fields"]:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if "null" in kinds and draw(st.booleans()):
            continue
        record[field["name"]] = draw(st.one_of([VALUES[kind] for kind in kinds]))
    names = draw(st.permutations(sorted(record)))
    return file, {name: record[name] for name in names}


@given(records())
def test_a_raw_record_is_written_as_fastavro_writes_it(drawn: tuple[str, dict[str, Any]]) -> None:
    file, record = drawn
    text = schema_text(file)
    expected = BytesIO()
    schemaless_writer(expected, parse_schema(json.loads(text)), record)

    value = encoder(text, 7)(record)

    assert value == header(7) + expected.getvalue()


@pytest.mark.parametrize("number", [0, -1, 63, 64, -64, -65, 8191, 8192, 2**63 - 1, -(2**63)])
def test_numbers_at_the_ends_of_a_byte_come_back(number: int) -> None:
    text = schema_of("long", ["null", "long"], ["long", "null"])

    value = encoder(text, 1)(dict.fromkeys(("f0", "f1", "f2"), number))

    read = schemaless_reader(BytesIO(value[5:]), parse_schema(json.loads(text)), None)
    assert set(read.values()) == {number}


@pytest.mark.parametrize("size", [0, 63, 64, 8191, 8192, 70_000])
def test_texts_of_every_length_come_back(size: int) -> None:
    text = schema_of("string")

    value = encoder(text, 1)({"f0": "ü" * size})

    assert schemaless_reader(BytesIO(value[5:]), parse_schema(json.loads(text)), None) == {
        "f0": "ü" * size
    }


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("long", 2**63),
        ("long", -(2**63) - 1),
        ("long", "1"),
        ("int", 2**31),
        ("int", -(2**31) - 1),
        ("string", 1),
        ("boolean", "yes"),
        ("boolean", 2),
        ("string", None),
    ],
)
def test_a_value_that_the_schema_does_not_allow_is_named(kind: str, value: Any) -> None:
    encode = encoder(schema_of("string", kind), 1)

    with pytest.raises(ValueError, match="f1: "):
        encode({"f0": "x", "f1": value})


def test_a_record_that_lacks_a_field_is_refused() -> None:
    encode = encoder(schema_of("string", ["null", "string"], "long"), 1)

    with pytest.raises(ValueError, match="f2 is missing"):
        encode({"f0": "x"})


def test_records_of_many_forms_are_written_all_the_same() -> None:
    text = schema_of(*[["null", "boolean"]] * 8)
    encode, schema = encoder(text, 1), parse_schema(json.loads(text))

    for number in range(256):
        there = {f"f{bit}": True for bit in range(8) if number >> bit & 1}
        read = schemaless_reader(BytesIO(encode(there)[5:]), schema, None)

        assert {name: value for name, value in read.items() if value} == there


@pytest.mark.parametrize(
    "kind", [{"type": "array", "items": "string"}, "double", ["string", "long"], "null"]
)
def test_a_schema_that_is_no_raw_record_s_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"wanted|primitive"):
        encoder(schema_of(kind), 1)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_foreign_payload_has_the_same_header_and_where_it_is_flat_the_same_bytes(
    vector: Any,
) -> None:
    payload = bytes.fromhex(vector["hex"])
    text = json.dumps(vector["schema"])

    assert payload.startswith(header(vector["schema_id"]))
    if flat_fields(text) is not None:
        record = schemaless_reader(BytesIO(payload[5:]), parse_schema(vector["schema"]), None)
        assert encoder(text, vector["schema_id"])(record) == payload


def test_the_schema_id_is_four_bytes_big_endian() -> None:
    encode = encoder('{"type": "record", "name": "R", "fields": []}', 0x01020304)

    assert encode({}) == b"\x00\x01\x02\x03\x04"

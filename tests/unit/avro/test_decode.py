"""Avro bytes to a raw record, or the reason why not."""

import json
from io import BytesIO

import pyarrow as pa
import pytest
from fastavro import parse_schema, schemaless_reader

from k2.avro.decode import decode
from k2.avro.schema_resolution import can_be_read
from tests.support.trades import (
    BINANCE_ID,
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    SCHEMA_TEXT,
    avro,
    framed,
    header,
    kraken_raw,
)

pytestmark = pytest.mark.unit

READER_SCHEMA = SCHEMA_TEXT[KRAKEN_V2_ID]
LIMIT = 64 * 1024


def changed(drop=(), add=(), types=None, **attributes):
    """The newest Kraken schema with changes, as text."""
    schema = json.loads(READER_SCHEMA) | attributes
    fields = [
        field | {"type": (types or {}).get(field["name"], field["type"])}
        for field in schema["fields"]
        if field["name"] not in drop
    ]
    return json.dumps(schema | {"fields": [*fields, *add]})


def without(*names):
    return {name: value for name, value in kraken_raw().items() if name not in names}


COUNTRY = {"name": "country", "type": "string", "default": "?"}
STATUS = {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["A", "B"]}}
EITHER = {"name": "either", "type": ["null", "long", "string"]}
TAGS = {"name": "tags", "type": {"type": "array", "items": "string"}}
NESTED = {
    "name": "nested",
    "type": {"type": "record", "name": "N", "fields": [{"name": "x", "type": "double"}]},
}
AT = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}

# Other writers' schemas, and a record of each.
ADDED, REMOVED, PROMOTED, RICH, REORDERED, DOUBLE, LACKING, RENAMED, NO_RECORD = range(100, 109)
NOT_REGISTERED, NOT_ASKED = 200, 201
WRITERS = {
    KRAKEN_V1_ID: SCHEMA_TEXT[KRAKEN_V1_ID],
    KRAKEN_V2_ID: SCHEMA_TEXT[KRAKEN_V2_ID],
    ADDED: changed(add=[COUNTRY]),
    REMOVED: changed(drop=["sequence_in_message"]),
    PROMOTED: changed(types={"ingestion_timestamp": "int"}),
    RICH: changed(add=[STATUS, EITHER, TAGS, NESTED, AT]),
    REORDERED: json.dumps(
        json.loads(READER_SCHEMA) | {"fields": json.loads(READER_SCHEMA)["fields"][::-1]}
    ),
    DOUBLE: changed(types={"price": "double"}),
    LACKING: changed(drop=["price"]),
    RENAMED: changed(name="SomethingElse"),
    NO_RECORD: '"string"',
    NOT_REGISTERED: None,
}


def of(schema_id, **changes):
    return framed(kraken_raw() | changes, schema_id, WRITERS[schema_id])


def padded(length):
    """A good record of exactly so many bytes."""
    value = framed(kraken_raw(misc="x" * 60_000))
    return framed(kraken_raw(misc="x" * (60_000 + length - len(value))))


GOOD = framed(kraken_raw())
RICH_FIELDS = {"status": "B", "either": 7, "tags": ["a", "b"], "nested": {"x": 0.5}, "at": 1}

DECODABLE = {
    "newest version": GOOD,
    "version 1": framed(without("trade_id", "sequence_in_message"), KRAKEN_V1_ID),
    "exactly 64 KiB": padded(LIMIT),
    "empty strings": framed(kraken_raw(symbol="", price="", misc="")),
    "no optional values": framed(kraken_raw(trade_id=None, sequence_in_message=None)),
    "largest and smallest longs": framed(
        kraken_raw(trade_id=2**63 - 1, ingestion_timestamp=-(2**63))
    ),
    "text of many scripts": framed(kraken_raw(symbol="交易/\N{PILE OF POO}", misc="\0")),
    "field added with default": of(ADDED, country="NZ"),
    "optional field removed": of(REMOVED),
    "int promoted to long": of(PROMOTED, ingestion_timestamp=2**31 - 1),
    "all kinds of fields added": of(RICH, **RICH_FIELDS),
    "fields in another order": of(REORDERED),
}

BROKEN = {
    "null": (None, "decode", "null_value"),
    "empty": (b"", "decode", "empty_value"),
    "one byte over 64 KiB": (padded(LIMIT + 1), "decode", "oversized_value"),
    "a megabyte of garbage": (b"\0" * 2**20, "decode", "oversized_value"),
    "JSON": (b'{"symbol": "BTC/USD"}', "decode", "wrong_magic_byte"),
    "one wrong byte": (b"\1", "decode", "wrong_magic_byte"),
    "magic byte alone": (b"\0", "decode", "truncated_header"),
    "half a header": (GOOD[:4], "decode", "truncated_header"),
    "header alone": (GOOD[:5], "decode", "undecodable_payload"),
    "half a record": (GOOD[: len(GOOD) // 2], "decode", "undecodable_payload"),
    "last byte missing": (GOOD[:-1], "decode", "undecodable_payload"),
    "garbage": (header(KRAKEN_V2_ID) + b"\xff" * 40, "decode", "undecodable_payload"),
    "negative length": (header(KRAKEN_V2_ID) + b"\x01" * 40, "decode", "undecodable_payload"),
    # 2 GiB − 1 as a zigzag varint, and 512 MiB: memory must not follow the claim.
    "length of 2 GiB": (
        header(KRAKEN_V2_ID) + b"\xfe\xff\xff\xff\x0f" + b"x",
        "decode",
        "undecodable_payload",
    ),
    "length of 512 MiB": (
        header(KRAKEN_V2_ID) + b"\x80\x80\x80\x80\x04" + b"x",
        "decode",
        "undecodable_payload",
    ),
    "one byte more": (GOOD + b"\0", "decode", "trailing_bytes"),
    "two records": (GOOD + GOOD[5:], "decode", "trailing_bytes"),
    "version 1 with the id of 2": (
        header(KRAKEN_V2_ID)
        + avro(without("trade_id", "sequence_in_message"), SCHEMA_TEXT[KRAKEN_V1_ID]),
        "decode",
        "undecodable_payload",
    ),
    "version 2 with the id of 1": (
        header(KRAKEN_V1_ID) + GOOD[5:],
        "decode",
        "trailing_bytes",
    ),
    "id that the registry does not know": (
        header(NOT_REGISTERED) + GOOD[5:],
        "schema",
        "unknown_schema_id",
    ),
    "id that nobody asked for": (header(NOT_ASKED) + GOOD[5:], "schema", "unknown_schema_id"),
    "id beyond INT": (b"\0\xff\xff\xff\xff" + GOOD[5:], "schema", "unknown_schema_id"),
    "required field missing in the writer": (
        header(LACKING) + avro(without("price"), WRITERS[LACKING]),
        "schema",
        "incompatible_schema",
    ),
    "another record": (of(RENAMED), "schema", "incompatible_schema"),
    "no record at all": (header(NO_RECORD) + b"\x02x", "schema", "incompatible_schema"),
    "type that text cannot be": (of(DOUBLE, price=1.5), "decode", "undecodable_payload"),
}


def read(values, writers=WRITERS, reader=READER_SCHEMA):
    """Records by their place: raw, or why not."""
    found = decode(pa.array(values, pa.binary()), writers, reader)
    places = [*found.rows.tolist(), *found.unread.tolist()]
    assert sorted(places) == list(range(len(values)))
    said = [*found.raw.to_pylist(), *found.errors.to_pylist()]
    return dict(zip(places, said, strict=True))


@pytest.fixture(scope="module")
def decoded():
    names = [*DECODABLE, *BROKEN]
    found = read([*DECODABLE.values(), *(value for value, *_ in BROKEN.values())])
    return {names[place]: row for place, row in found.items()}


@pytest.mark.parametrize("name", DECODABLE)
def test_a_record_is_read_into_the_newest_schema(decoded, name):
    value = DECODABLE[name]
    written = json.loads(WRITERS[int.from_bytes(value[1:5], "big")])
    wanted = schemaless_reader(
        BytesIO(value[5:]), parse_schema(written), parse_schema(json.loads(READER_SCHEMA))
    )

    assert decoded[name] == wanted


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_decode_says_why(decoded, name):
    _, error_type, reason = BROKEN[name]

    assert decoded[name] == {"error_type": error_type, "error_reason": reason}


def test_a_field_that_the_writer_does_not_have_gets_its_default(decoded):
    row = decoded["version 1"]

    assert (row["trade_id"], row["sequence_in_message"]) == (None, None)


def test_without_any_known_schema_every_framed_record_is_of_an_unknown_id():
    rows = read([GOOD, None], {})

    assert [rows[place]["error_reason"] for place in (0, 1)] == ["unknown_schema_id", "null_value"]


def test_compatibility_asks_for_the_same_record_with_all_required_fields():
    answers = {id_: can_be_read(text, READER_SCHEMA) for id_, text in WRITERS.items() if text}

    assert {id_ for id_, readable in answers.items() if not readable} == {
        LACKING,
        RENAMED,
        NO_RECORD,
    }
    assert not can_be_read(SCHEMA_TEXT[BINANCE_ID], READER_SCHEMA)


ALL_OPTIONAL = json.dumps(
    json.loads(READER_SCHEMA)
    | {
        "fields": [
            (
                field
                if "default" in field
                else field | {"default": 0 if field["type"] == "long" else ""}
            )
            for field in json.loads(READER_SCHEMA)["fields"]
        ]
    }
)
MAP = {"name": "more", "type": {"type": "map", "values": "string"}, "default": {}}
RECURSIVE = {"name": "before", "type": ["null", "KrakenRawTrade"], "default": None}
NULLABLE_FIRST = json.dumps(
    json.loads(READER_SCHEMA)
    | {
        "fields": [
            {"name": "note", "type": ["null", "string"]},
            *json.loads(READER_SCHEMA)["fields"],
        ]
    }
)


@pytest.mark.parametrize(
    ("schema", "record", "readable"),
    [
        pytest.param(
            'syntax = "proto3"; message T {}',
            None,
            False,
            id="Protobuf",
        ),
        pytest.param(
            '{"type": "record", "name": "KrakenRawTrade"}',
            None,
            False,
            id="no fields",
        ),
        pytest.param(
            ALL_OPTIONAL,
            kraken_raw(),
            True,
            id="a default for every field",
        ),
        pytest.param(
            changed(add=[RECURSIVE]),
            kraken_raw() | {"before": kraken_raw() | {"before": None}},
            True,
            id="recursive",
        ),
        pytest.param(
            changed(add=[MAP]),
            kraken_raw() | {"more": {key: key for key in "zyxwvutsrq"}},
            True,
            id="map",
        ),
        pytest.param(
            NULLABLE_FIRST,
            kraken_raw() | {"note": None},
            True,
            id="first field null",
        ),
    ],
)
def test_no_schema_of_the_registry_stops_the_stream(schema, record, readable):
    odd = header(300) + (avro(record, schema) if record else b"x")
    writers = {KRAKEN_V2_ID: READER_SCHEMA, 300: schema}

    rows = read([GOOD, odd], writers)

    assert [("error_reason" not in rows[place]) for place in (0, 1)] == [True, readable]


# Numbers at the ends of every length that they can have, both signs.
LONGS = sorted(
    {sign * (1 << bits) + near for bits in range(63) for sign in (1, -1) for near in (-1, 0, 1)}
    | {2**63 - 1, -(2**63)}
)


def test_every_length_of_a_number_is_read():
    records = [kraken_raw(trade_id=number, ingestion_timestamp=number) for number in LONGS]

    rows = read([framed(record) for record in records])

    assert [rows[place]["trade_id"] for place in range(len(LONGS))] == LONGS
    assert [rows[place]["ingestion_timestamp"] for place in range(len(LONGS))] == LONGS


@pytest.mark.parametrize("length", [*range(30), 63, 64, 65, 1_000, 60_000])
@pytest.mark.parametrize("character", ["x", "é"])
def test_every_length_of_a_text_is_read(length, character):
    text = character * (length // len(character.encode())) + "x" * (
        length % len(character.encode())
    )

    rows = read([framed(kraken_raw(symbol=text, misc="after")), GOOD])

    assert (rows[0]["symbol"], rows[0]["misc"]) == (text, "after")
    assert rows[1] == kraken_raw()


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(b"\x80\x00", id="zero in two bytes"),
        pytest.param(b"\x81\x80\x00", id="one too many"),
        pytest.param(b"\xff" * 9 + b"\x02", id="more than 64 bits"),
        pytest.param(b"\xff" * 9 + b"\x00", id="ten bytes that nine hold"),
        pytest.param(b"\xff" * 10 + b"\x01", id="eleven bytes"),
        pytest.param(b"\xff" * 12, id="no end"),
    ],
)
def test_a_number_in_another_form_than_a_writers_does_not_decode(number):
    value = framed(kraken_raw(trade_id=None, sequence_in_message=None))
    assert value.endswith(b"\0\0")
    odd = value[:-2] + b"\x02" + number + b"\0"

    rows = read([odd, GOOD])

    assert rows[0]["error_reason"] == "undecodable_payload"
    assert rows[1] == kraken_raw()


@pytest.mark.parametrize("branch", [b"\x01", b"\x04", b"\xff\xff\xff\xff\x0f"])
def test_a_union_has_no_branches_but_its_own(branch):
    value = framed(kraken_raw(trade_id=None, sequence_in_message=None))

    rows = read([value[:-1] + branch])

    assert rows[0]["error_reason"] == "undecodable_payload"


def test_what_one_record_claims_changes_no_other():
    cut = [framed(kraken_raw(trade_id=number))[:end] for number in range(9) for end in range(5, 60)]
    whole = [framed(kraken_raw(trade_id=number)) for number in range(len(cut))]
    values = [value for pair in zip(whole, cut, strict=True) for value in pair]

    rows = read(values)

    assert [rows[place]["trade_id"] for place in range(0, len(values), 2)] == list(range(len(cut)))
    assert {rows[place]["error_reason"] for place in range(1, len(values), 2)} == {
        "undecodable_payload"
    }


def test_a_raw_schema_of_other_types_is_a_mistake_that_is_named():
    with pytest.raises(ValueError, match="fields of the types boolean, int, long, string"):
        read([GOOD], reader=changed(types={"price": "double"}))
    with pytest.raises(ValueError, match="every field may be null"):
        read([GOOD], reader=OPTIONAL_ONLY)


OPTIONAL_ONLY = json.dumps(
    {
        "type": "record",
        "name": "KrakenRawTrade",
        "fields": [{"name": "price", "type": ["null", "string"], "default": None}],
    }
)


@pytest.mark.parametrize("branches", ["all null", "all set", "mixed", "no such branch"])
def test_optional_fields_read_together_are_those_read_one_by_one(branches):
    ids = {"all null": [None] * 5, "all set": [3, 4, 5, 6, 7], "mixed": [None, 4, None, 6, 7]}
    values = [framed(kraken_raw(trade_id=id_)) for id_ in ids.get(branches, [None] * 5)]
    if branches == "no such branch":
        # trade_id's branch is the last byte but that of sequence_in_message, which takes two.
        values = [value[:-3] + b"\x08" + value[-2:] for value in values]

    raw = decode(pa.array(values), {KRAKEN_V2_ID: READER_SCHEMA}, READER_SCHEMA)

    if branches == "no such branch":
        assert set(raw.errors["error_reason"].to_pylist()) == {"undecodable_payload"}
    else:
        assert raw.raw["trade_id"].to_pylist() == ids[branches]
        assert set(raw.raw["sequence_in_message"].to_pylist()) == {0}

"""Avro bytes to a raw record, or the reason why not."""

import json
from io import BytesIO

import pytest
from fastavro import parse_schema, schemaless_reader

from k2.exchanges.kraken import KRAKEN
from k2.transforms.decode import can_be_read, decode
from tests.builders import (
    BINANCE_ID,
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    READER,
    SCHEMA_TEXT,
    avro,
    bronze_frame,
    framed,
    header,
    kraken_raw,
)

pytestmark = pytest.mark.unit

READER_SCHEMA = READER["kraken"]
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


@pytest.fixture(scope="module")
def decoded(spark):
    names = [*DECODABLE, *BROKEN]
    values = [*DECODABLE.values(), *(value for value, *_ in BROKEN.values())]
    rows = decode(bronze_frame(spark, KRAKEN, values), WRITERS, READER_SCHEMA).collect()
    assert sorted(row.offset for row in rows) == list(range(len(names)))
    return {names[row.offset]: row for row in rows}


@pytest.mark.parametrize("name", DECODABLE)
def test_a_record_is_read_into_the_newest_schema(decoded, name):
    value = DECODABLE[name]
    written = json.loads(WRITERS[int.from_bytes(value[1:5], "big")])
    wanted = schemaless_reader(
        BytesIO(value[5:]), parse_schema(written), parse_schema(json.loads(READER_SCHEMA))
    )

    row = decoded[name]

    assert (row.error_type, row.error_reason) == (None, None)
    assert row.raw.asDict() == wanted
    assert bytes(row.value) == value


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_decode_says_why(decoded, name):
    value, error_type, reason = BROKEN[name]

    row = decoded[name]

    assert (row.error_type, row.error_reason) == (error_type, reason)
    assert (row.value if row.value is None else bytes(row.value)) == value


def test_a_field_that_the_writer_does_not_have_gets_its_default(decoded):
    row = decoded["version 1"]

    assert (row.raw.trade_id, row.raw.sequence_in_message) == (None, None)


def test_without_any_known_schema_every_framed_record_is_of_an_unknown_id(spark):
    rows = decode(bronze_frame(spark, KRAKEN, [GOOD, None]), {}, READER_SCHEMA).collect()

    assert {(row.offset, row.error_reason) for row in rows} == {
        (0, "unknown_schema_id"),
        (1, "null_value"),
    }


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
            kraken_raw() | {"before": None},
            False,
            id="recursive",
        ),
        pytest.param(
            changed(add=[MAP]),
            kraken_raw() | {"more": {key: key for key in "zyxwvutsrq"}},
            False,
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
def test_no_schema_of_the_registry_stops_the_stream(spark, schema, record, readable):
    odd = header(300) + (avro(record, schema) if record else b"x")
    writers = {KRAKEN_V2_ID: READER_SCHEMA, 300: schema}

    rows = decode(bronze_frame(spark, KRAKEN, [GOOD, odd]), writers, READER_SCHEMA).collect()

    reasons = {row.offset: row.error_reason for row in rows}
    assert reasons[0] is None
    assert (reasons[1] is None) == readable

"""The Avro schemas in ``schemas/`` agree with the tables, the exchanges and their own past."""

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastavro import parse_schema, schema, schemaless_reader, schemaless_writer

from k2.exchanges import EXCHANGES, Exchange
from k2.storage.columns import TIMESTAMP_US_UTC, TRADE, list_of
from tests.fixtures.crypto_fixtures import V2_FIELDS, CryptoDataFactory, Record

pytestmark = pytest.mark.unit

SCHEMAS = Path(__file__).parents[2] / "schemas"
ALL = sorted(path.name for path in SCHEMAS.glob("*.avsc"))

ARROW_TYPE = {
    "string": pa.string(),
    "long": pa.int64(),
    "timestamp-micros": TIMESTAMP_US_UTC,
    "array": list_of(pa.string()),
}


def fields_of(file_name: str) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = json.loads((SCHEMAS / file_name).read_text())["fields"]
    return fields


def is_optional(field: dict[str, Any]) -> bool:
    return isinstance(field["type"], list) and "null" in field["type"]


def arrow_type(field: dict[str, Any]) -> Any:
    avro = next(kind for kind in field["type"] if kind != "null") if is_optional(field) else None
    avro = avro or field["type"]
    if isinstance(avro, dict) and avro.get("logicalType") == "decimal":
        return pa.decimal128(avro["precision"], avro["scale"])
    name = avro if isinstance(avro, str) else avro.get("logicalType", avro["type"])
    return ARROW_TYPE[name]


@pytest.mark.parametrize("file_name", ALL)
def test_a_schema_file_is_valid_avro(file_name: str) -> None:
    parsed = parse_schema(json.loads((SCHEMAS / file_name).read_text()))

    assert parsed["type"] == "record"


@pytest.mark.parametrize("file_name", ALL)
def test_field_names_differ_in_more_than_case(file_name: str) -> None:
    names = [field["name"].lower() for field in fields_of(file_name)]

    assert len(set(names)) == len(names)


def test_every_schema_file_belongs_to_an_exchange_or_is_the_v2_trade() -> None:
    named = {file_name for exchange in EXCHANGES for file_name in exchange.raw_schemas}

    assert named | {"trade_v2.avsc"} == set(ALL)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_a_record_of_every_older_version_reads_as_the_newest(exchange: Exchange) -> None:
    record = raw_trade_of(exchange)
    reader = schema.load_schema(SCHEMAS / exchange.reader_schema)
    for file_name in exchange.raw_schemas:
        writer = schema.load_schema(SCHEMAS / file_name)
        written = {field["name"] for field in fields_of(file_name)} & record.keys()
        payload = io.BytesIO()
        schemaless_writer(payload, writer, {name: record[name] for name in written})

        payload.seek(0)
        read = schemaless_reader(payload, writer, reader)

        kept = {name: value for name, value in record.items() if name in written}
        missing = dict.fromkeys(
            field["name"]
            for field in fields_of(exchange.reader_schema)
            if field["name"] not in written
        )
        assert read == kept | missing


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_a_newer_version_only_adds_optional_fields_at_the_end(exchange: Exchange) -> None:
    for older, newer in pairwise(exchange.raw_schemas):
        before, after = fields_of(older), fields_of(newer)

        assert after[: len(before)] == before
        assert all(is_optional(field) for field in after[len(before) :])


def test_the_v2_trade_has_the_columns_of_silver_and_gold() -> None:
    fields = fields_of("trade_v2.avsc")

    assert [field["name"] for field in fields] == [column.name for column in TRADE]
    assert len(fields) == 15
    assert [field["name"] for field in fields] == list(V2_FIELDS)


def test_the_v2_trade_has_the_types_and_comments_of_silver_and_gold() -> None:
    fields = {field["name"]: field for field in fields_of("trade_v2.avsc")}

    assert {name: arrow_type(field) for name, field in fields.items()} == {
        column.name: column.type for column in TRADE
    }
    assert {name: is_optional(field) for name, field in fields.items()} == {
        column.name: column.nullable for column in TRADE
    }


def test_a_v2_trade_survives_avro_to_the_last_digit(sample_v2_unified_trade: Record) -> None:
    trade = {name: sample_v2_unified_trade[name] for name in V2_FIELDS}
    v2 = schema.load_schema(SCHEMAS / "trade_v2.avsc")
    payload = io.BytesIO()

    schemaless_writer(payload, v2, trade)
    payload.seek(0)

    assert schemaless_reader(payload, v2, None) == trade


def raw_trade_of(exchange: Exchange) -> Record:
    factory = CryptoDataFactory()
    samples = {
        "binance": factory.binance_raw_trade,
        "kraken": factory.kraken_raw_trade,
        "coinbase": factory.coinbase_raw_trade,
    }
    return samples[exchange.name]()

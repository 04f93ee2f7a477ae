"""The tables are those of the contract."""

from dataclasses import replace

import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges import EXCHANGES
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.table import Layer
from k2.topology import all_tables
from tests.fixtures.crypto_fixtures import V2_FIELDS

pytestmark = pytest.mark.unit

COLUMNS = {
    "bronze_kraken_trades": [
        "key",
        "value",
        "headers",
        "topic",
        "partition",
        "offset",
        "kafka_timestamp",
        "schema_id",
        "ingested_at",
        "ingest_date",
    ],
    "silver_kraken_trades": [
        *V2_FIELDS,
        *["instrument_type", "trade_count", "first_trade_id", "last_trade_id"],
        *["topic", "partition", "offset", "schema_id", "kafka_timestamp", "exchange_date"],
    ],
    "dup_kraken_trades": [
        "message_id",
        "reason",
        "topic",
        "partition",
        "offset",
        "kafka_timestamp",
        "dup_date",
    ],
    "dlq_kraken_trades": [
        "raw_record",
        "error_type",
        "error_reasons",
        "stage",
        "message_id",
        "topic",
        "partition",
        "offset",
        "schema_id",
        "kafka_timestamp",
        "error_timestamp",
        "dlq_date",
    ],
    "gold_trades": [
        *V2_FIELDS,
        *[
            "instrument_type",
            "trade_count",
            "trade_value_usd",
            "topic",
            "partition",
            "offset",
            "kafka_timestamp",
            "is_late",
        ],
        *["exchange_date", "exchange_hour"],
    ],
}
PARTITIONS = {
    "bronze_kraken_trades": ("ingest_date",),
    "silver_kraken_trades": ("exchange_date",),
    "dup_kraken_trades": ("dup_date",),
    "dlq_kraken_trades": ("dlq_date",),
    "gold_trades": ("exchange_date", "exchange_hour"),
}
TABLES = {table.name: table for table in all_tables([KRAKEN])}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_has_the_columns_and_partitions_of_the_contract(name):
    table = TABLES[name]

    assert table.columns == COLUMNS[name]
    assert table.partitioned_by == PARTITIONS[name]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_says_what_it_is(name):
    schema = TABLES[name].schema

    assert [field.name for field in schema if not field.metadata.get(b"comment")] == []


def test_required_fields_of_a_trade_hold_no_null():
    optional = {field.name for field in silver_trades(KRAKEN).schema if field.nullable}

    assert optional == {
        "trade_conditions",
        "source_sequence",
        "platform_sequence",
        "vendor_data",
        "first_trade_id",
        "last_trade_id",
        "schema_id",
    }


@pytest.mark.parametrize(
    "table", [bronze_trades(KRAKEN), dead_letters(KRAKEN)], ids=lambda t: t.name
)
def test_raw_bytes_have_no_statistics(table):
    assert not {"key", "value", "headers", "raw_record"} & set(table.stats_columns)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_is_skipped_by_offset_and_broker_time(name):
    assert {"partition", "offset", "kafka_timestamp"} <= set(TABLES[name].stats_columns)


@pytest.mark.parametrize("part", ["key", "partitioned_by", "stats_columns"])
def test_a_definition_that_names_a_column_it_does_not_have_is_refused(part):
    with pytest.raises(ValueError, match="dup_kraken_trades: 'colour'"):
        replace(duplicates(KRAKEN), **{part: ("colour",)})


def test_every_exchange_has_its_tables_and_gold_is_one():
    names = [table.name for table in all_tables()]

    assert len(names) == len(set(names))
    assert names.count(GOLD_TRADES.name) == 1
    for kind in ("bronze_{}_trades", "silver_{}_trades", "dlq_{}_trades", "dup_{}_trades"):
        assert {kind.format(exchange.name) for exchange in EXCHANGES} <= set(names)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("bronze_kraken_trades", Layer.BRONZE),
        ("silver_kraken_trades", Layer.SILVER),
        ("dlq_kraken_trades", Layer.SILVER),
        ("dup_kraken_trades", Layer.SILVER),
        ("gold_trades", Layer.GOLD),
    ],
)
def test_a_table_belongs_to_a_layer(name, layer):
    assert TABLES[name].layer is layer


@pytest.mark.parametrize("table", all_tables(), ids=lambda table: table.name)
def test_a_table_is_divided_by_time_and_by_nothing_that_grows_with_the_market(table):
    ends = ("_date", "_hour", "day")
    by_time = {name for name in table.partitioned_by if name.endswith(ends)}

    assert by_time
    # Bars have five lengths; a symbol would make a folder of tiny files for each.
    assert set(table.partitioned_by) - by_time <= {"timeframe"}

"""Tables as folders: made from their definitions, refused when they are not."""

from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from k2.errors import FailedError, TableDriftError
from k2.exchanges.binance import BINANCE
from k2.silver.tables import duplicates, silver_trades
from k2.storage.delta import (
    ensure_table,
    exists,
    named_errors,
    open_table,
    row_count,
    table_path,
    wanted_schema,
)
from k2.storage.writers.spark import to_spark_schema
from k2.topology import all_tables
from tests.support.trades import append_silver, silver_row

pytestmark = pytest.mark.unit

TABLE = duplicates(BINANCE)


@pytest.mark.parametrize("table", all_tables(), ids=lambda table: table.name)
def test_a_table_is_created_as_its_definition_says(tmp_path, table):
    ensure_table(tmp_path, table)

    stored = DeltaTable(tmp_path / table.name)
    assert [field.name for field in stored.schema().fields] == table.columns
    assert [field.nullable for field in stored.schema().fields] == [
        field.nullable for field in table.schema
    ]
    assert (
        stored.schema().fields[0].metadata["comment"]
        == table.schema[0].metadata[b"comment"].decode()
    )
    metadata = stored.metadata()
    assert metadata.partition_columns == list(table.partitioned_by)
    assert (metadata.name, metadata.description) == (table.name, table.comment)
    assert metadata.configuration["delta.dataSkippingStatsColumns"] == ",".join(table.stats_columns)
    assert metadata.configuration["delta.checkpointInterval"] == "50"


def test_spark_opens_a_created_table(spark, tmp_path):
    table = silver_trades(BINANCE)
    ensure_table(tmp_path, table)

    found = spark.read.format("delta").load(str(table_path(tmp_path, table)))

    assert found.schema.fieldNames() == table.columns
    assert [f.dataType for f in found.schema] == [f.dataType for f in to_spark_schema(table.schema)]
    assert found.count() == 0


def test_a_table_that_is_there_is_opened_and_keeps_its_rows(tmp_path):
    append_silver(tmp_path, BINANCE, [silver_row(BINANCE, offset) for offset in range(3)])

    stored = ensure_table(tmp_path, silver_trades(BINANCE))

    assert row_count(stored) == 3
    assert stored.version() == 1


def test_a_table_that_is_not_there_is_none(tmp_path):
    assert open_table(tmp_path, TABLE) is None
    assert not exists(tmp_path, TABLE)


def test_rows_are_counted_over_all_files(tmp_path):
    for start in (0, 3):
        append_silver(
            tmp_path, BINANCE, [silver_row(BINANCE, offset) for offset in range(start, start + 3)]
        )

    assert row_count(open_table(tmp_path, silver_trades(BINANCE))) == 6
    assert row_count(ensure_table(tmp_path, TABLE)) == 0


def with_schema(*fields):
    return replace(TABLE, schema=pa.schema(fields))


FIELDS = list(TABLE.schema)
DRIFTED = {
    "offset": with_schema(
        *(pa.field("offset", pa.int32(), False) if f.name == "offset" else f for f in FIELDS)
    ),
    "message_id": with_schema(
        *(pa.field(f.name, f.type, True) if f.name == "message_id" else f for f in FIELDS)
    ),
    "colour": with_schema(*FIELDS, pa.field("colour", pa.int64())),
    "topic": replace(
        TABLE,
        schema=pa.schema([f for f in FIELDS if f.name != "topic"]),
        key=("partition", "offset"),
    ),
}


@pytest.mark.parametrize("column", DRIFTED)
def test_a_column_that_drifted_is_refused_by_its_name(tmp_path, column):
    ensure_table(tmp_path, DRIFTED[column])

    with pytest.raises(TableDriftError) as refused:
        ensure_table(tmp_path, TABLE)

    assert f"{TABLE.name} differs from its definition in {column}." in str(refused.value)
    assert refused.value.exit_code == 1


def test_other_partitions_are_refused(tmp_path):
    ensure_table(tmp_path, replace(TABLE, partitioned_by=("topic",)))

    with pytest.raises(TableDriftError, match=r"partitioned by \['topic'\], wanted \['dup_date'\]"):
        ensure_table(tmp_path, TABLE)


def test_a_foreign_table_in_its_place_is_refused_and_left_alone(tmp_path):
    path = table_path(tmp_path, TABLE)
    write_deltalake(
        path, DeltaTable.create(tmp_path / "x", wanted_schema(TABLE)).to_pyarrow_table()
    )
    before = DeltaTable(path).version()

    with pytest.raises(TableDriftError):
        ensure_table(tmp_path, TABLE)

    assert DeltaTable(path).version() == before


def test_a_place_that_cannot_be_written_is_a_failure_that_names_it(tmp_path):
    (tmp_path / "lake").write_text("a file")

    with pytest.raises(FailedError, match=TABLE.name):
        ensure_table(tmp_path / "lake", TABLE)


@pytest.mark.parametrize("kind", [DeltaError, OSError])
def test_an_error_of_delta_rs_is_one_line_in_plain_text_and_names_the_table(kind):
    tree = "Generic error\n     \x1b[31m↳\x1b[0m Unable to copy\n      \x1b[31m↳\x1b[0m No space left\n"

    with pytest.raises(FailedError) as caught, named_errors(TABLE):
        raise kind(tree)

    assert str(caught.value) == (
        f"Table {TABLE.name} could not be written: Generic error ↳ Unable to copy ↳ No space left"
    )

"""Both writers keep one contract: the same tables to every reader, each batch once."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from chispa import assert_df_equality
from deltalake import DeltaTable

from k2.bronze.table import bronze_trades
from k2.errors import FailedError
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.gold.transform import to_gold
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.delta import ensure_table, table_path
from k2.storage.writers import arrow as arrow_writer
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.spark import SparkWriter
from k2.storage.writers.writer import NOTHING, TxnId
from tests.support.trades import BROKER_TIME, TRADE_TIME, arrow, bronze_row, frame, silver_row

pytestmark = pytest.mark.unit

WRITERS = {"spark": SparkWriter, "arrow": ArrowWriter}
FIRST, SECOND = TxnId("gold/v1", 0), TxnId("gold/v1", 1)
DUPLICATES = duplicates(BINANCE)

MIDNIGHT = datetime(2026, 7, 8, tzinfo=UTC)
SILVER_ROWS = [
    silver_row(BINANCE, 0),
    silver_row(
        BINANCE,
        1,
        price=Decimal("9999999999.99999999"),
        quantity=Decimal("0.00000001"),
        timestamp=MIDNIGHT.replace(microsecond=1),
        trade_conditions=["limit", "", "ü"],
        vendor_data='{"a": "\N{PILE OF POO}"}',
    ),
    silver_row(
        BINANCE,
        2**62,
        trade_conditions=None,
        source_sequence=None,
        platform_sequence=None,
        vendor_data=None,
        schema_id=None,
        timestamp=datetime(2009, 1, 3, tzinfo=UTC),
        kafka_timestamp=datetime(2026, 7, 7, 23, 59, 59, 999_999, UTC),
    ),
]
BRONZE_ROWS = [
    bronze_row(KRAKEN, bytes(range(256)), 0)
    | {"headers": [{"key": "h", "value": b"\xff"}, {"key": "", "value": None}]},
    bronze_row(KRAKEN, None, 1) | {"key": None},
    bronze_row(KRAKEN, b"", 2, partition=1) | {"key": b"", "headers": []},
]
DEAD_ROWS = [
    {
        "raw_record": value,
        "error_type": "rule",
        "error_reasons": reasons,
        "stage": "silver",
        "topic": KRAKEN.topic,
        "partition": 0,
        "offset": offset,
        "schema_id": 3,
        "kafka_timestamp": BROKER_TIME,
        "error_timestamp": BROKER_TIME,
        "dlq_date": date(2026, 7, 7),
    }
    for offset, (value, reasons) in enumerate([(b"\0x", ["a", "b"]), (None, ["null_value"])])
]
TABLES = {
    "bronze": (bronze_trades(KRAKEN), BRONZE_ROWS),
    "silver": (silver_trades(BINANCE), SILVER_ROWS),
    "dead letters": (dead_letters(KRAKEN), DEAD_ROWS),
    "duplicates": (
        DUPLICATES,
        [
            {
                "message_id": f"m{offset}",
                "reason": "repeated",
                "topic": "t",
                "partition": 0,
                "offset": offset,
                "kafka_timestamp": BROKER_TIME,
                "dup_date": date(2026, 7, 7),
            }
            for offset in range(3)
        ],
    ),
}


def rows_of(spark, name):
    if name == "gold":
        trades = to_gold(arrow(silver_trades(BINANCE), SILVER_ROWS), 5)
        return GOLD_TRADES, spark.createDataFrame(trades)
    table, rows = TABLES[name]
    return table, frame(spark, table, rows)


NAMES = [*TABLES, "gold"]


@pytest.fixture(scope="module")
def lakes(spark, tmp_path_factory):
    """Every table, written with the same rows by both writers."""
    found = {}
    for kind, writer_class in WRITERS.items():
        lake = found[kind] = tmp_path_factory.mktemp(kind)
        writer = writer_class(lake)
        for name in NAMES:
            table, rows = rows_of(spark, name)
            ensure_table(lake, table)
            with writer.open_batch(rows) as batch:
                appended = batch.append(table, FIRST)
            assert appended.rows == rows.count()
    return found


def table_of(name):
    return GOLD_TRADES if name == "gold" else TABLES[name][0]


def stored(lakes, kind, name):
    return DeltaTable(table_path(lakes[kind], table_of(name)))


def add_actions(delta):
    log = Path(delta.table_uri.removeprefix("file://"), "_delta_log")
    lines = [line for path in sorted(log.glob("*.json")) for line in path.read_text().splitlines()]
    return [entry["add"] for entry in map(json.loads, lines) if "add" in entry]


def key(row):
    return row["partition"], row["offset"]


@pytest.mark.parametrize("name", NAMES)
def test_delta_rs_reads_the_same_from_both(lakes, name):
    spark, arrow_ = (stored(lakes, kind, name) for kind in WRITERS)

    assert spark.schema().to_json() == arrow_.schema().to_json()
    rows = [sorted(table.to_pyarrow_table().to_pylist(), key=key) for table in (spark, arrow_)]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 1


@pytest.mark.parametrize("name", ["bronze", "silver", "dead letters", "duplicates"])
def test_what_is_read_is_what_was_written(lakes, name):
    table, rows = TABLES[name]

    for kind in WRITERS:
        found = stored(lakes, kind, name).to_pyarrow_table().to_pylist()

        assert sorted(found, key=key) == sorted(arrow(table, rows).to_pylist(), key=key)


@pytest.mark.parametrize("name", NAMES)
def test_spark_reads_the_same_from_both(spark, lakes, name):
    paths = [str(table_path(lakes[kind], table_of(name))) for kind in WRITERS]

    frames = [spark.read.format("delta").load(path) for path in paths]

    assert_df_equality(*frames, ignore_row_order=True)
    assert frames[0].count() > 1


@pytest.mark.parametrize("name", NAMES)
def test_duckdb_reads_the_same_from_both(lakes, name):
    found = []
    for kind in WRITERS:
        data = stored(lakes, kind, name).to_pyarrow_dataset()
        with duckdb.connect() as database:
            database.execute("set timezone = 'UTC'")
            database.register("stored", data)
            query = 'select * from stored order by "partition", "offset"'
            found.append((database.sql(query).types, database.sql(query).fetchall()))

    assert [str(kind) for kind in found[0][0]] == [str(kind) for kind in found[1][0]]
    assert found[0][1] == found[1][1]
    assert len(found[0][1]) > 1


@pytest.mark.parametrize("name", NAMES)
def test_the_files_themselves_have_the_same_types(lakes, name):
    types = []
    for kind in WRITERS:
        folder = table_path(lakes[kind], table_of(name))
        file = next(iter(folder.rglob("*.parquet")))
        with duckdb.connect() as database:
            described = database.execute(
                "select name, type from parquet_schema(?) where type is not null", [str(file)]
            ).fetchall()
        # Spark and Arrow name the inside of lists apart; readers go by position there.
        types.append({(row[0], row[1]) for row in described if row[0] not in ("element", "item")})

    assert types[0] == types[1]


@pytest.mark.parametrize("name", NAMES)
def test_partitions_are_named_alike(lakes, name):
    # Spark may make two files of a partition where Arrow makes one.
    spark, arrow_ = (
        {
            frozenset(add["partitionValues"].items())
            for add in add_actions(stored(lakes, kind, name))
        }
        for kind in WRITERS
    )

    assert spark == arrow_
    assert {key for values in spark for key, _ in values} == set(table_of(name).partitioned_by)


@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_of_the_same_columns(lakes, name):
    wanted = set(table_of(name).stats_columns)
    for kind in WRITERS:
        for add in add_actions(stored(lakes, kind, name)):
            stats = json.loads(add["stats"])

            assert set(stats["minValues"]) <= wanted
            assert {"partition", "offset", "kafka_timestamp"} <= set(stats["minValues"])
            assert set(stats["maxValues"]) == set(stats["minValues"])


@pytest.mark.parametrize("name", NAMES)
def test_the_protocol_is_the_same_and_asks_for_nothing_new(lakes, name):
    protocols = [stored(lakes, kind, name).protocol() for kind in WRITERS]

    assert protocols[0] == protocols[1]
    assert protocols[0].min_reader_version == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_is_noted_as_the_apps_transaction(lakes, name):
    for kind in WRITERS:
        assert stored(lakes, kind, name).transaction_version(FIRST.app_id) == FIRST.version


@pytest.fixture(params=WRITERS)
def writer(request, tmp_path):
    lake = tmp_path / "lake"
    ensure_table(lake, DUPLICATES)
    return WRITERS[request.param](lake)


def offsets(writer, table=DUPLICATES):
    found = DeltaTable(table_path(writer.lake, table)).to_pyarrow_table()
    return sorted(found["offset"].to_pylist())


@pytest.fixture(scope="module")
def judged(spark):
    """Rows as Silver judges them: outcomes beside the table's columns."""
    _, rows = TABLES["duplicates"]
    return frame(spark, DUPLICATES, rows).selectExpr(
        "*", "if(offset = 2, 'dead_letter', 'trade') as outcome", "array('x') as extra"
    )


def records(*offsets):
    return pa.table(
        {
            "partition": pa.array([0] * len(offsets), pa.int32()),
            "offset": pa.array(offsets, pa.int64()),
        }
    )


def as_duplicates(named):
    return named.append_column("outcome", pa.repeat("duplicate", named.num_rows))


def test_a_batch_that_is_written_again_is_there_once(writer, judged):
    for _ in range(2):
        with writer.open_batch(judged) as batch:
            last = batch.append(DUPLICATES, FIRST)

    assert last == NOTHING
    assert offsets(writer) == [0, 1, 2]


def test_another_writer_of_the_same_kind_knows_the_batch_too(writer, judged):
    with writer.open_batch(judged) as batch:
        batch.append(DUPLICATES, SECOND)
    successor = type(writer)(writer.lake)

    with successor.open_batch(judged) as batch:
        older, same = (batch.append(DUPLICATES, id_) for id_ in (FIRST, SECOND))

    assert older == same == NOTHING
    assert offsets(writer) == [0, 1, 2]


def test_the_other_kind_of_writer_knows_the_batch_too(writer, judged):
    with writer.open_batch(judged) as batch:
        batch.append(DUPLICATES, FIRST)
    other = next(kind for kind in WRITERS.values() if kind is not type(writer))(writer.lake)

    with other.open_batch(judged) as batch:
        again, news = (batch.append(DUPLICATES, id_) for id_ in (FIRST, SECOND))

    assert (again.rows, news.rows) == (0, 3)
    with writer.open_batch(judged) as batch:
        assert batch.append(DUPLICATES, SECOND) == NOTHING


def test_other_apps_count_for_themselves(writer, judged):
    with writer.open_batch(judged) as batch:
        for app in ("gold/v1", "gold/v2", "silver-binance/v1"):
            assert batch.append(DUPLICATES, TxnId(app, 0)).rows == 3

    assert len(offsets(writer)) == 9


def test_a_batch_of_many_trades_is_one_file_a_partition(tmp_path):
    table = silver_trades(BINANCE)
    stored = ensure_table(tmp_path, table)
    days = [TRADE_TIME, TRADE_TIME + timedelta(days=1)]
    rows = [silver_row(BINANCE, n, timestamp=days[n % 2]) for n in range(2_000)]

    ArrowWriter(tmp_path).append(table, FIRST, arrow(table, rows))

    stored.update_incremental()
    assert len(stored.file_uris()) == len(days)


def test_an_append_says_how_much_and_from_when(writer, judged):
    with writer.open_batch(judged) as batch:
        appended = batch.append(DUPLICATES, FIRST)

    assert appended == (3, BROKER_TIME, BROKER_TIME, 1, 0)  # and which version it made


@pytest.mark.parametrize(
    ("repeated", "outcome", "wanted"),
    [
        pytest.param(records(), "trade", [0, 1], id="trades, none of them repeated"),
        pytest.param(records(1), "trade", [0], id="the trades that are not"),
        pytest.param(records(1), "duplicate", [1], id="the one that is"),
        pytest.param(records(), "duplicate", [], id="no duplicates"),
        pytest.param(records(0, 1), "dead_letter", [2], id="rows of another outcome"),
        pytest.param(records(), "nothing", [], id="an outcome that no row has"),
        pytest.param(records(0, 1), "trade", [], id="no trades, all being repeated"),
    ],
)
def test_rows_of_an_outcome_are_written_and_the_batch_is_noted(
    writer, judged, repeated, outcome, wanted
):
    with writer.open_batch(judged) as batch:
        decided = batch.update(as_duplicates(repeated))
        appended = decided.select(*DUPLICATES.columns, outcome=outcome).append(DUPLICATES, FIRST)

    assert offsets(writer) == wanted
    assert appended.rows == len(wanted)
    assert (
        DeltaTable(table_path(writer.lake, DUPLICATES)).transaction_version(FIRST.app_id)
        == FIRST.version
    )


def test_an_append_counts_a_column_in_the_same_pass(writer, judged):
    counted = judged.selectExpr("*", "offset > 0 as is_late")

    with writer.open_batch(counted) as batch:
        first, again = (batch.append(DUPLICATES, FIRST, count="is_late") for _ in range(2))

    assert (first.rows, first.counted) == (3, 2)
    assert again == NOTHING, "a batch that is there is not counted again"


@pytest.mark.parametrize(("outcome", "is_empty"), [("trade", False), ("nothing", True)])
def test_a_batch_knows_whether_it_has_rows(writer, judged, outcome, is_empty):
    with writer.open_batch(judged) as batch:
        assert batch.select("offset", outcome=outcome).is_empty is is_empty


def test_both_writers_tell_a_table_s_version_and_id(writer, judged):
    with writer.open_batch(judged) as batch:
        batch.append(DUPLICATES, FIRST)

    stored = DeltaTable(table_path(writer.lake, DUPLICATES))
    assert (writer.version(DUPLICATES), writer.table_id(DUPLICATES)) == (1, stored.metadata().id)


def test_some_columns_come_to_the_driver(writer, judged):
    with writer.open_batch(judged) as batch:
        columns = batch.to_arrow("outcome", "offset")

    assert columns.column_names == ["outcome", "offset"]
    assert sorted(columns.to_pylist(), key=lambda row: row["offset"]) == [
        {"outcome": "trade", "offset": 0},
        {"outcome": "trade", "offset": 1},
        {"outcome": "dead_letter", "offset": 2},
    ]


def test_some_columns_of_chosen_rows_come_to_the_driver(writer, judged):
    with writer.open_batch(judged) as batch:
        columns = (
            batch.update(as_duplicates(records(0))).select("offset", outcome="trade").to_arrow()
        )

    assert columns.to_pylist() == [{"offset": 1}]


def test_the_values_of_a_column_come_to_the_driver_once(writer, judged):
    with writer.open_batch(judged) as batch:
        found = batch.distinct("outcome"), batch.distinct("offset")
    with writer.open_batch(judged.selectExpr("cast(null as int) as nothing")) as batch:
        nothing = batch.distinct("nothing")

    assert found == ({"trade", "dead_letter"}, {0, 1, 2})
    assert nothing == set()


def doubled(rows):
    """Every row twice, the second with an offset that there is not yet."""
    more = pc.add(rows["offset"], 10)
    place = rows.schema.get_field_index("offset")
    return pa.concat_tables([rows, rows.set_column(place, rows.schema.field(place), more)])


def test_rows_are_transformed_and_written(writer, spark):
    _, rows = TABLES["duplicates"]
    with writer.open_batch(frame(spark, DUPLICATES, rows)) as batch:
        mapped = batch.map_arrow(doubled, DUPLICATES.schema, reused=True)
        again = mapped.map_arrow(doubled, DUPLICATES.schema)
        appended = mapped.append(DUPLICATES, FIRST)
        counted = again.to_arrow("offset").num_rows

    assert appended.rows == 6
    assert offsets(writer) == [0, 1, 2, 10, 11, 12]
    assert counted == 12


@pytest.mark.parametrize(("rows", "parts"), [(5, [2, 2, 1]), (4, [2, 2]), (0, [0])])
def test_the_arrow_writer_transforms_some_rows_after_the_other(tmp_path, monkeypatch, rows, parts):
    monkeypatch.setattr(arrow_writer, "_ROWS_AT_ONCE", 2)
    sizes = []

    def counted(part):
        sizes.append(part.num_rows)
        return doubled(part)

    batch = ArrowWriter(tmp_path).hold(pa.table({"offset": pa.array(range(rows), pa.int64())}))
    mapped = batch.map_arrow(counted, DUPLICATES.schema).to_arrow("offset")

    assert sizes == parts
    assert sorted(mapped["offset"].to_pylist()) == [*range(rows), *range(10, 10 + rows)]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"trade_conditions": []}, id="empty lists"),
        pytest.param({"trade_conditions": None}, id="null lists"),
        pytest.param({"trade_conditions": [""]}, id="lists of empty strings"),
        pytest.param({"vendor_data": ""}, id="empty strings"),
        pytest.param({"vendor_data": None}, id="null strings"),
    ],
)
def test_columns_without_a_single_character_are_written(spark, tmp_path, kind, change):
    table = silver_trades(BINANCE)
    ensure_table(tmp_path, table)
    rows = [silver_row(BINANCE, offset, **change) for offset in range(2)]

    with WRITERS[kind](tmp_path).open_batch(frame(spark, table, rows)) as batch:
        batch.append(table, FIRST)

    found = DeltaTable(table_path(tmp_path, table)).to_pyarrow_table().to_pylist()
    ((name, value),) = change.items()
    assert [row[name] for row in found] == [value, value]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_large_batch_becomes_several_files(spark, tmp_path, kind):
    table, count = silver_trades(BINANCE), 120_000
    ensure_table(tmp_path, table)
    many = arrow(table, [silver_row(BINANCE, 0)]).take(pa.array([0] * count)).combine_chunks()
    # Rows that are much alike would fit into one small file.
    news = {
        "offset": pa.array(range(count), pa.int64()),
        "message_id": pa.array([sha256(str(n).encode()).hexdigest() for n in range(count)]),
    }
    for name, values in news.items():
        place = many.schema.get_field_index(name)
        many = many.set_column(place, many.schema.field(place), values)

    with WRITERS[kind](tmp_path).open_batch(spark.createDataFrame(many)) as batch:
        batch.append(table, FIRST)

    stored_ = DeltaTable(table_path(tmp_path, table))
    assert len(add_actions(stored_)) > 1
    assert sorted(stored_.to_pyarrow_table()["offset"].to_pylist()) == list(range(count))
    assert stored_.version() == 1


@pytest.mark.parametrize("kind", WRITERS)
def test_a_batch_without_rows_is_noted_and_nothing_more(spark, tmp_path, kind):
    table = silver_trades(BINANCE)
    ensure_table(tmp_path, table)
    nothing = frame(spark, table, [silver_row(BINANCE, 0)]).where("false")

    with WRITERS[kind](tmp_path).open_batch(nothing) as batch:
        appended = batch.append(table, FIRST)

    stored = DeltaTable(table_path(tmp_path, table))
    assert appended.rows == NOTHING.rows
    assert (appended.oldest, appended.newest) == (None, None)
    assert stored.to_pyarrow_table().num_rows == 0
    assert stored.transaction_version(FIRST.app_id) == FIRST.version


def test_a_null_in_a_required_column_fails_the_batch_and_writes_nothing(writer, spark, judged):
    broken = judged.withColumn("message_id", judged["message_id"].substr(0, 0)).selectExpr(
        "* except (message_id)", "if(offset = 1, null, message_id) as message_id"
    )

    with pytest.raises(Exception, match=r"(?i)null"), writer.open_batch(broken) as batch:
        batch.append(DUPLICATES, FIRST)

    assert offsets(writer) == []
    assert DeltaTable(table_path(writer.lake, DUPLICATES)).transaction_version(FIRST.app_id) is None


def test_a_value_that_does_not_fit_its_column_fails_instead_of_changing(writer, spark):
    _, rows = TABLES["duplicates"]
    wide = frame(spark, DUPLICATES, rows).selectExpr(
        "* except (partition)", "cast(4294967296 as bigint) as partition"
    )

    with (
        pytest.raises(Exception, match=r"(?i)overflow|not in range|out of bounds|merge fields"),
        writer.open_batch(wide) as batch,
    ):
        batch.append(DUPLICATES, FIRST)

    assert offsets(writer) == []


def test_a_persisted_batch_is_let_go_even_when_the_write_fails(spark, tmp_path):
    persistent = spark.sparkContext._jsc.getPersistentRDDs
    before = persistent().size()

    def read_what_is_not_there():
        _, rows = TABLES["duplicates"]
        with SparkWriter(tmp_path).open_batch(frame(spark, DUPLICATES, rows)) as batch:
            kept = batch.map_arrow(doubled, DUPLICATES.schema, reused=True)
            kept.to_arrow(*kept.to_arrow("offset").column_names, "no_such_column")

    with pytest.raises(Exception, match="no_such_column"):
        read_what_is_not_there()

    assert persistent().size() == before


def test_a_disk_that_refuses_is_a_failure_with_the_tables_name(spark, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("No space left on device (os error 28)")

    ensure_table(tmp_path, DUPLICATES)
    monkeypatch.setattr("k2.storage.writers.arrow.write_deltalake", refuse)
    _, rows = TABLES["duplicates"]

    with (
        pytest.raises(FailedError, match=r"dup_binance_trades could not be written: No space"),
        ArrowWriter(tmp_path).open_batch(frame(spark, DUPLICATES, rows)) as batch,
    ):
        batch.append(DUPLICATES, FIRST)

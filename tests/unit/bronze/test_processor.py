"""Bronze's batch: Kafka's records to rows of its table, nothing of them lost or interpreted."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from chispa import assert_df_equality
from deltalake import DeltaTable

from k2.bronze.processor import BronzeProcessor, bronze_stream
from k2.bronze.table import bronze_trades
from k2.errors import UnavailableError
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.storage.checkpoints.offset_log import OffsetLog
from k2.storage.delta import ensure_table, table_path
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.trades import framed, kraken_raw

pytestmark = pytest.mark.unit

PLANNED_MS = 1_790_000_000_123
PLANNED = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=PLANNED_MS)
RECEIVED = datetime(2026, 7, 7, 23, 59, 59, 999_000, UTC)
TXN = TxnId("bronze-kraken/v1", 0)
HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


def records(*values, **changes):
    """Kafka's records as Spark's source gives them, with offsets from 0."""
    count = len(values)
    columns = {
        "key": pa.array([b"BTC/USD"] * count, pa.binary()),
        "value": pa.array(values, pa.binary()),
        "headers": pa.array([None] * count, HEADERS),
        "partition": pa.array([1] * count, pa.int32()),
        "offset": pa.array(range(count), pa.int64()),
        "timestamp": pa.array([RECEIVED] * count, pa.timestamp("us", "UTC")),
    }
    return pa.table(columns | changes)


@pytest.fixture
def bronze(settings):
    """Gives the rows that are stored after a batch of records; the batch was planned before."""
    OffsetLog(settings.checkpoint(TXN.app_id)).plan(0, ("{}",), 0, PLANNED_MS)
    ensure_table(settings.lake, bronze_trades(KRAKEN))
    processor = BronzeProcessor(KRAKEN, settings)
    writer = ArrowWriter(settings.lake)

    def run(batch, txn=TXN):
        run.result = processor.process(writer.hold(batch), txn)
        stored = DeltaTable(str(table_path(settings.lake, bronze_trades(KRAKEN))))
        return stored.to_pyarrow_table().sort_by("offset").to_pylist()

    return run


def test_a_record_is_stored_byte_for_byte(bronze):
    value = framed(kraken_raw())

    (row,) = bronze(records(value))

    assert (row["key"], row["value"]) == (b"BTC/USD", value)


def test_a_record_keeps_where_it_was(bronze):
    (row,) = bronze(records(b"x"))

    assert (row["topic"], row["partition"], row["offset"]) == (KRAKEN.topic, 1, 0)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\x00\x00\x00", b"\x01\x00\x00\x00\x07x", b"no Avro at all", bytes(range(256))],
    ids=["null", "empty", "half a header", "wrong magic byte", "garbage", "every byte"],
)
def test_what_is_no_trade_is_a_row_like_any_other(bronze, value):
    (row,) = bronze(records(value))

    assert row["value"] == value


@pytest.mark.parametrize(
    ("value", "schema_id"),
    [
        (b"\x00\x00\x00\x00\x07rest", 7),
        (b"\x00\x7f\xff\xff\xff", 2**31 - 1),
        (b"\x00\x80\x00\x00\x00", None),
        (b"\x01\x00\x00\x00\x07rest", None),
        (b"\x00\x00\x00\x07", None),
        (None, None),
    ],
)
def test_the_schema_id_is_that_of_the_header(bronze, value, schema_id):
    (row,) = bronze(records(value))

    assert row["schema_id"] == schema_id


def test_a_row_is_of_the_day_on_which_the_broker_got_it(bronze):
    late = pa.array([RECEIVED, RECEIVED + timedelta(milliseconds=1)], pa.timestamp("us", "UTC"))

    rows = bronze(records(b"a", b"b", timestamp=late))

    assert [row["ingest_date"] for row in rows] == [date(2026, 7, 7), date(2026, 7, 8)]


def test_when_a_batch_was_read_is_when_it_was_planned(bronze):
    (row,) = bronze(records(b"x"))

    assert row["ingested_at"] == PLANNED


def test_headers_are_kept_in_their_order(bronze):
    sent = [{"key": "b", "value": b"1"}, {"key": "a", "value": None}, {"key": "b", "value": b""}]

    (row,) = bronze(records(b"x", headers=pa.array([sent], HEADERS)))

    assert row["headers"] == sent


def test_a_time_that_no_table_can_hold_is_told_in_a_header(bronze):
    beyond = pa.array([2**62], pa.int64())  # milliseconds, as the reading again gives them

    (row,) = bronze(records(b"x", timestamp=beyond))

    assert [header["value"] for header in row["headers"]] == [str(2**62).encode()]
    assert row["kafka_timestamp"].year == 9999


def test_a_batch_that_runs_again_adds_nothing(bronze):
    bronze(records(b"a", b"b"))

    rows = bronze(records(b"a", b"b"))

    assert [row["value"] for row in rows] == [b"a", b"b"]
    assert bronze.result.written.rows == 0


def test_a_batch_without_records_leaves_a_table_without_rows(bronze):
    assert bronze(records()) == []


def test_the_result_says_what_was_written_and_forwards_the_rows(bronze):
    bronze(records(b"a", b"b"))

    assert (bronze.result.stream, bronze.result.batch_id) == TXN
    assert bronze.result.written.rows == 2
    assert bronze.result.written.oldest == bronze.result.written.newest == RECEIVED
    assert bronze.result.output.rows["value"].to_pylist() == [b"a", b"b"]


def test_spark_reads_the_rows_as_the_table_defines_them(bronze, settings, spark):
    bronze(records(b"a", b"b"))
    table = bronze_trades(KRAKEN)

    stored = spark.read.format("delta").load(str(table_path(settings.lake, table)))

    wanted = [(b"a", 1, 0, RECEIVED), (b"b", 1, 1, RECEIVED)]
    schema = "value binary, partition int, offset bigint, kafka_timestamp timestamp"
    assert_df_equality(
        stored.select("value", "partition", "offset", "kafka_timestamp"),
        spark.createDataFrame(wanted, schema),
        ignore_nullable=True,
        ignore_row_order=True,
        ignore_metadata=True,
    )


@pytest.mark.parametrize("exchange", [BINANCE, KRAKEN], ids=lambda exchange: exchange.name)
def test_a_stream_writes_its_exchange_s_table_and_no_other(settings, exchange):
    stream = bronze_stream(exchange, settings, ArrowWriter(settings.lake), "127.0.0.1:1")

    assert [table.name for table in stream.tables] == [f"bronze_{exchange.name}_trades"]
    assert (stream.name, stream.app_id) == (f"bronze-{exchange.name}", f"bronze-{exchange.name}/v1")


def test_a_record_has_one_row_by_its_coordinates():
    table = bronze_trades(KRAKEN)

    assert table.key == ("topic", "partition", "offset")
    assert table.partitioned_by == ("ingest_date",)
    required = {field.name for field in table.schema if not field.nullable}
    assert {"topic", "partition", "offset", "kafka_timestamp"} <= required
    assert not {"key", "value", "headers", "schema_id"} & required


def test_a_batch_whose_records_change_the_limit_is_written_and_taken_for_written(settings, bronze):
    def observe(rows, nbytes):
        assert (rows, nbytes > 2_000) == (2, True)
        raise UnavailableError("another limit")

    processor = BronzeProcessor(KRAKEN, settings, observe)
    batch = ArrowWriter(settings.lake).hold(records(b"x" * 1_000, b"y" * 1_000))

    with pytest.raises(UnavailableError, match="another limit"):
        processor.process(batch, TXN)
    again = processor.process(batch, TXN)

    assert again.written.version is None
    assert [row["value"][:1] for row in bronze(records(b"z"))] == [b"x", b"y"]

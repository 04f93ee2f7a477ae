"""The Silver stream over a Bronze table: each record once, whatever breaks between."""

import subprocess
import sys

import pytest

from k2.bronze.table import bronze_trades
from k2.errors import FailedError, InUseError, StaleCheckpointError, UnavailableError
from k2.exchanges.kraken import KRAKEN
from k2.silver.processor import SilverProcessor
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.lake import WRITERS, Lake, Registry
from tests.support.mixed_records import MIXED, NEW_ID, NEW_SCHEMA, of_new_schema, trade
from tests.support.trades import (
    BINANCE_ID,
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    SCHEMA_TEXT,
    bronze_table,
    framed,
    header,
    kraken_raw,
)

pytestmark = pytest.mark.integration

SILVER, DUP, DLQ = silver_trades(KRAKEN), duplicates(KRAKEN), dead_letters(KRAKEN)
TABLES = {"silver": SILVER, "dup": DUP, "dlq": DLQ}


WHERE = {"silver": [0, 1, 5], "dup": [2], "dlq": [3, 4, 6]}


@pytest.fixture(params=WRITERS)
def lake(request, spark, settings):
    return Lake(spark, settings, request.param)


@pytest.fixture
def arrow_lake(spark, settings):
    return Lake(spark, settings)


def where(lake):
    return {name: lake.offsets(table) for name, table in TABLES.items()}


def test_every_record_goes_to_one_table(lake):
    lake.bronze(KRAKEN, *MIXED)

    (report,) = lake.run(lake.silver(KRAKEN))

    assert where(lake) == WHERE
    assert (report.rows, report.written.rows, report.duplicates) == (7, 3, 1)
    assert report.dead_letters == {"rule": 1, "decode": 2}
    reasons = {row["offset"]: (row["error_type"], row["error_reasons"]) for row in lake.rows(DLQ)}
    assert reasons == {
        3: ("rule", ["price_not_positive", "side_unknown"]),
        4: ("decode", ["wrong_magic_byte"]),
        6: ("decode", ["null_value"]),
    }
    first, again = lake.rows(SILVER)[0], lake.rows(DUP)[0]
    assert again["message_id"] == first["message_id"]


def test_a_second_run_adds_nothing(arrow_lake):
    arrow_lake.bronze(KRAKEN, *MIXED)
    arrow_lake.run(arrow_lake.silver(KRAKEN))

    reports = arrow_lake.run(arrow_lake.silver(KRAKEN))

    assert reports == []
    assert where(arrow_lake) == WHERE


def test_a_batch_takes_no_further_file_once_it_has_its_bytes(spark, settings):
    lake = Lake(spark, settings.model_copy(update={"max_bytes_per_batch": 1}))
    for offset in range(3):
        lake.bronze(KRAKEN, framed(kraken_raw(trade_id=offset)), first_offset=offset)

    reports = lake.run(lake.silver(KRAKEN))

    assert [report.rows for report in reports] == [1, 1, 1]
    assert lake.offsets(SILVER) == [0, 1, 2]


@pytest.mark.parametrize("table", [1, 2, 3])
def test_a_crash_after_any_table_leaves_each_record_once(lake, table):
    lake.bronze(KRAKEN, *MIXED)
    lake.crash_after = table
    with pytest.raises(FailedError, match="Crash"):
        lake.run(lake.silver(KRAKEN))
    written = sum(map(len, where(lake).values()))
    assert 0 < written <= len(MIXED)

    lake.run(lake.silver(KRAKEN))

    assert where(lake) == WHERE


def test_a_batch_whose_commit_was_lost_is_there_once(lake):
    lake.bronze(KRAKEN, *MIXED)
    lake.run(lake.silver(KRAKEN))
    lake.bronze(KRAKEN, trade(4), trade(2), b"x", first_offset=10)
    lake.run(lake.silver(KRAKEN))
    whole = where(lake)
    assert whole == {"silver": [0, 1, 5, 10], "dup": [2, 11], "dlq": [3, 4, 6, 12]}

    batch = lake.forget_last_commit(lake.silver(KRAKEN))
    lake.bronze(KRAKEN, trade(5), trade(4), first_offset=20)
    reports = lake.run(lake.silver(KRAKEN))

    assert [report.batch_id for report in reports] == [batch, batch + 1]
    assert where(lake) == {
        "silver": [*whole["silver"], 20],
        "dup": [*whole["dup"], 21],
        "dlq": whole["dlq"],
    }


def test_a_lost_index_is_made_anew_from_silver(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, *MIXED)
    lake.run(lake.silver(KRAKEN))
    stream = lake.silver(KRAKEN)
    for file in stream.checkpoint(lake.settings).glob("seen-trades.db*"):
        file.unlink()

    lake.bronze(KRAKEN, trade(2), trade(9), MIXED[5], first_offset=10)
    lake.run(stream)

    assert where(lake) == {"silver": [0, 1, 5, 11], "dup": [2, 10, 12], "dlq": [3, 4, 6]}


def test_an_index_lost_with_the_commit_does_not_take_a_batch_for_its_own_duplicates(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, *MIXED)
    lake.run(lake.silver(KRAKEN))
    lake.bronze(KRAKEN, trade(7), trade(1), first_offset=10)
    lake.crash_after = 1
    with pytest.raises(FailedError):
        lake.run(lake.silver(KRAKEN))
    for file in lake.silver(KRAKEN).checkpoint(lake.settings).glob("seen-trades.db*"):
        file.unlink()

    lake.run(lake.silver(KRAKEN))

    assert where(lake) == {"silver": [0, 1, 5, 10], "dup": [2, 11], "dlq": [3, 4, 6]}


def test_a_registry_that_is_down_dead_letters_nothing_and_the_batch_runs_later(
    arrow_lake, monkeypatch
):
    monkeypatch.setattr("k2.engine.stream_task.FIRST_PAUSE_SECONDS", 0.0)
    lake = arrow_lake
    lake.registry.down = 2
    lake.bronze(KRAKEN, *MIXED)

    reports = lake.run(lake.silver(KRAKEN))

    assert lake.registry.down == 0
    assert [report.batch_id for report in reports] == [0]
    assert where(lake) == WHERE


def test_a_schema_that_is_known_is_not_asked_for_again(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, *MIXED)
    lake.run(lake.silver(KRAKEN))
    assert sorted(lake.registry.asked) == [KRAKEN_V1_ID, KRAKEN_V2_ID]
    lake.registry.down = 10**6

    lake.bronze(KRAKEN, trade(8), first_offset=10)
    lake.run(lake.silver(KRAKEN))

    assert lake.offsets(SILVER) == [*WHERE["silver"], 10]


def test_a_new_schema_among_known_ones_is_learned_in_the_middle(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, trade(1))
    lake.run(lake.silver(KRAKEN))
    lake.registry.schemas[NEW_ID] = NEW_SCHEMA

    lake.bronze(KRAKEN, trade(2), of_new_schema(3), header(99) + b"x", first_offset=10)
    (report,) = lake.run(lake.silver(KRAKEN))

    assert where(lake) == {"silver": [0, 10, 11], "dup": [], "dlq": [12]}
    assert report.dead_letters == {"schema": 1}
    assert lake.rows(DLQ)[0]["error_reasons"] == ["unknown_schema_id"]


def test_an_unknown_id_is_asked_for_again_in_the_next_batch(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, of_new_schema(1))
    lake.run(lake.silver(KRAKEN))
    lake.registry.schemas[NEW_ID] = NEW_SCHEMA

    lake.bronze(KRAKEN, of_new_schema(2), first_offset=10)
    lake.run(lake.silver(KRAKEN))

    assert where(lake) == {"silver": [10], "dup": [], "dlq": [0]}


@pytest.mark.parametrize("cached", [False, True], ids=["registered", "registered and in the cache"])
def test_an_id_registered_between_two_runs_of_a_batch_changes_nothing(arrow_lake, cached):
    lake = arrow_lake
    lake.bronze(KRAKEN, trade(1), of_new_schema(2))
    lake.crash_after = 1  # Silver has the batch, the dead letters have not
    with pytest.raises(FailedError, match="Crash"):
        lake.run(lake.silver(KRAKEN))

    lake.registry.schemas[NEW_ID] = NEW_SCHEMA
    if cached:  # as `register` does, and as any other batch that met the id
        lake.registry.cached[NEW_ID] = NEW_SCHEMA
    lake.run(lake.silver(KRAKEN))

    assert where(lake) == {"silver": [0], "dup": [], "dlq": [1]}


def test_a_wiped_checkpoint_refuses_to_start_while_the_tables_are_there(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, *MIXED)
    stream = lake.silver(KRAKEN)
    lake.run(stream)
    checkpoint = stream.checkpoint(lake.settings)
    checkpoint.rename(checkpoint.with_name("gone"))

    with pytest.raises(StaleCheckpointError, match=r"silver_kraken_trades has batch 0") as refused:
        lake.run(lake.silver(KRAKEN))

    assert refused.value.exit_code == 1
    assert where(lake) == WHERE


def test_an_older_checkpoint_refuses_to_start_too(arrow_lake):
    lake = arrow_lake
    for start in (0, 10):
        lake.bronze(KRAKEN, trade(start + 1), first_offset=start)
        lake.run(lake.silver(KRAKEN))
    checkpoint = lake.silver(KRAKEN).checkpoint(lake.settings)
    for folder in ("offsets", "commits"):
        (checkpoint / folder / "1").unlink()
        (checkpoint / folder / ".1.crc").unlink(missing_ok=True)

    with pytest.raises(StaleCheckpointError, match="only knows batches up to 0"):
        lake.run(lake.silver(KRAKEN))


OTHER = """
import sys, threading
from pathlib import Path
from k2.home.locks import exclusive
with exclusive(Path(sys.argv[1]), [sys.argv[2]], "stream silver-kraken"):
    print("held", flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("lock", ["silver-kraken-v1", "dlq_kraken_trades"])
def test_tables_that_another_process_writes_are_refused(arrow_lake, lock):
    lake = arrow_lake
    lake.bronze(KRAKEN, trade(1))
    folder = lake.settings.run / "locks"
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder), lock], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"

        with pytest.raises(InUseError, match=rf"^{lock} is in use by .*process {other.pid}"):
            lake.run(lake.silver(KRAKEN))
    finally:
        other.kill()
        other.wait(10)
        other.stdout.close()

    assert lake.offsets(SILVER) == []
    lake.run(lake.silver(KRAKEN))
    assert lake.offsets(SILVER) == [0]


@pytest.fixture
def sink(settings):
    """A sink without a stream, and a function that gives it values as its query would."""
    registry = Registry(cached=dict(SCHEMA_TEXT))
    for table in (bronze_trades(KRAKEN), *TABLES.values()):
        ensure_table(settings.lake, table)
    writer = ArrowWriter(settings.lake)
    made = SilverProcessor(KRAKEN, settings, registry, SCHEMA_TEXT[KRAKEN_V2_ID])

    def take(batch, *values):
        bronze = writer.hold(bronze_table(KRAKEN, values))
        return made.process(bronze, TxnId("silver-kraken/v1", batch))

    yield made, take
    made.close()


def test_the_same_batch_written_twice_is_there_once(sink, spark, settings):
    _, take = sink

    first, second = (take(0, *MIXED) for _ in range(2))

    assert (first.rows, second.rows) == (7, 0)
    assert where(Lake(spark, settings)) == WHERE


def test_an_outage_writes_nothing_at_all(sink, spark, settings):
    made, take = sink
    made.schemas.down = 1

    with pytest.raises(UnavailableError):
        take(0, trade(1), header(NEW_ID) + b"x")

    assert where(Lake(spark, settings)) == {"silver": [], "dup": [], "dlq": []}


def test_a_batch_of_dead_letters_alone_and_one_of_nothing(sink, spark, settings):
    _, take = sink

    take(0, b"x", None)
    report = take(1)

    assert report.rows == 0
    assert where(Lake(spark, settings)) == {"silver": [], "dup": [], "dlq": [0, 1]}


def test_an_exchange_of_another_schema_is_incompatible_and_not_unknown(arrow_lake):
    lake = arrow_lake
    lake.bronze(KRAKEN, header(BINANCE_ID) + b"x")

    lake.run(lake.silver(KRAKEN))

    assert [row["error_reasons"] for row in lake.rows(DLQ)] == [["incompatible_schema"]]

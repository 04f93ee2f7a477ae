"""A batch passes down the chain in memory: from Kafka's records to the bars, and no further than it can."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from k2.bars.processor import bars_stream
from k2.bars.table import GOLD_OHLCV
from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.engine.processor import BatchResult
from k2.engine.stream import Stream, prepare
from k2.exchanges.kraken import KRAKEN
from k2.gold.processor import gold_stream
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.silver.processor import silver_stream
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.checkpoints.offset_log import OffsetLog
from k2.storage.delta import record_count
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from k2.topology import chain_streams
from tests.support.lake import Registry
from tests.support.trades import READER, framed, kraken_raw

pytestmark = pytest.mark.unit

NOON = datetime(2026, 7, 7, 12, tzinfo=UTC)
LAYERS = (bronze_trades(KRAKEN), silver_trades(KRAKEN), GOLD_TRADES)


def kafka_records(first: int, *values: bytes) -> pa.Table:
    count = len(values)
    return pa.table(
        {
            "key": pa.array([b"key"] * count, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "topic": [KRAKEN.topic] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(first, first + count), pa.int64()),
            "timestamp": pa.array([NOON] * count, pa.timestamp("us", "UTC")),
            "headers": pa.nulls(count, bronze_trades(KRAKEN).schema.field("headers").type),
        }
    )


class Run:
    """The streams of one exchange, chained, without Spark: a test is what reads Kafka."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.load(home=home)
        self.writer = ArrowWriter(self.settings.lake)
        self.results: list[BatchResult] = []
        settings, writer = self.settings, self.writer
        schemas, reader = Registry(), READER["kraken"]
        self.bronze, self.silver, self.gold, self.bars = chain_streams(
            [bronze_stream(KRAKEN, settings, writer, "nowhere:1")],
            [silver_stream(KRAKEN, settings, writer, schemas, reader)],
            gold_stream([KRAKEN], settings, writer),
            bars_stream(settings, writer),
            settings,
        )
        for stream in (self.bronze, self.silver, self.gold, self.bars):
            prepare(stream, settings)
        self.offset = 0

    def batch(self, number: int, *values: bytes) -> None:
        """Do as Spark does with a batch of Kafka's records, and wait until it has passed down."""
        OffsetLog(self.bronze.checkpoint(self.settings)).plan(number, ("-",), 0, 1_783_425_600_000)
        records = kafka_records(self.offset, *values)
        self.offset += len(values)
        result = self.bronze.processor.process(
            self.writer.hold(records), TxnId(self.bronze.app_id, number)
        )
        self.results.append(result)
        assert self.bronze.chain is not None
        self.bronze.chain.forward(result, self.results.append)
        self.bronze.chain.wait()

    def flush(self) -> BatchResult | None:
        assert self.bars.buffer is not None
        return self.bars.buffer.flush()

    def rows(self) -> list[int]:
        return [record_count(self.settings.lake, table) for table in LAYERS]

    def behind(self) -> list[str]:
        chained = (self.silver, self.gold, self.bars)
        return [s.name for s in chained if s.chained is not None and s.chained.is_behind]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def trade(number: int) -> bytes:
    return framed(kraken_raw(trade_id=number))


def test_a_batch_reaches_gold_and_the_bars_each_as_its_own_stream_s_batch(run: Run) -> None:
    run.batch(0, trade(1), trade(2), trade(1), b"\xff")
    run.batch(1, trade(3))

    bars = run.flush()

    assert run.rows() == [5, 3, 3]
    assert record_count(run.settings.lake, duplicates(KRAKEN), dead_letters(KRAKEN)) == 2
    assert record_count(run.settings.lake, GOLD_OHLCV) > 0
    apps = [run.bronze.app_id, run.silver.app_id, run.gold.app_id]
    assert [(r.stream, r.batch_id) for r in run.results] == [
        *((app, 0) for app in apps),
        *((app, 1) for app in apps),
    ]
    assert bars is not None
    assert (bars.stream, bars.batch_id, bars.rows) == (run.bars.app_id, 0, 3)
    assert run.behind() == []


def test_what_was_made_of_a_batch_is_told_with_its_progress(run: Run) -> None:
    run.batch(0, trade(1), trade(1), b"\xff")

    bronze, silver, gold = run.results

    assert bronze.progress is None, "its query tells it"
    assert (silver.written.rows, silver.duplicates, silver.dead_letters) == (1, 1, {"decode": 1})
    assert (gold.written.rows, gold.observed) == (1, {"late": gold.written.counted})
    assert silver.progress is not None
    assert gold.progress is not None
    assert "watermark" in gold.progress["eventTime"]


def test_a_batch_without_a_new_trade_goes_no_further_than_silver(run: Run) -> None:
    run.batch(0, trade(1))
    run.batch(1, trade(1))
    run.batch(2, trade(2))

    assert run.rows() == [3, 2, 2]
    assert run.behind() == []


def test_a_repeated_batch_of_bronze_is_written_nowhere_again(run: Run) -> None:
    run.batch(0, trade(1))
    run.offset = 0
    run.batch(0, trade(1))

    assert run.rows() == [1, 1, 1]


@pytest.mark.parametrize(
    ("broken", "behind", "rows"),
    [
        (lambda run: run.silver, ["silver-kraken", "gold"], [1, 0, 0]),
        (lambda run: run.gold, ["gold"], [1, 1, 0]),
    ],
    ids=["silver", "gold"],
)
def test_a_stream_that_fails_is_behind_and_bronze_goes_on(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[Run], Stream],
    behind: list[str],
    rows: list[int],
) -> None:
    def refuse(*_: object) -> BatchResult:
        raise OSError("no room")

    monkeypatch.setattr(type(broken(run).processor), "process", refuse)

    run.batch(0, trade(1))

    assert run.rows() == rows
    assert run.behind() == behind


def test_a_stream_that_catches_up_by_its_own_query_is_passed_by(run: Run) -> None:
    assert run.silver.chained is not None
    run.silver.chained.begin_catch_up()

    run.batch(0, trade(1))

    assert run.rows() == [1, 0, 0]
    assert run.behind() == ["silver-kraken"]


def test_a_chain_needs_a_stream_that_can_be_buffered(run: Run) -> None:
    bars = replace(run.bars, reduction=None)

    with pytest.raises(ValueError, match="ohlcv has no reduction"):
        chain_streams([run.bronze], [run.silver], run.gold, bars, run.settings)

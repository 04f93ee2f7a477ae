"""Batches of Gold collected for the bars: when they are written, as what, and when they are not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from k2.bars.processor import bars_stream
from k2.bars.table import GOLD_OHLCV
from k2.engine.batch_buffer import BatchBuffer
from k2.engine.chained_stream import ChainedStream
from k2.engine.processor import BatchResult
from k2.gold.table import GOLD_TRADES
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog, next_version, table_offset
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.bars import gold_row, plain_bars
from tests.support.stored_bars import NINE, numbers, stored
from tests.support.streams import Mutex
from tests.support.trades import arrow

pytestmark = pytest.mark.unit

APP = "ohlcv/v1"


class Bars:
    """Gold, and the stream of bars that collects what it is given."""

    def __init__(self, folder, seconds=0.0):
        self.settings = Settings.load(home=folder)
        self.writer = ArrowWriter(self.settings.lake)
        for table in (GOLD_TRADES, GOLD_OHLCV):
            ensure_table(self.settings.lake, table)
        self.trades = []
        self.checkpoint = self.settings.checkpoint(APP)
        stream = replace(bars_stream(self.settings, self.writer), mutex=Mutex())
        self.chained = ChainedStream.of(stream, self.settings)
        self.buffer = BatchBuffer(self.chained, GOLD_TRADES, stream.reduction, seconds)
        self.chained.discard_buffered = self.buffer.discard

    def gold(self, batch):
        """Add a batch to Gold; return its result."""
        trade = gold_row(batch, timestamp=NINE + timedelta(seconds=batch), price=Decimal(batch + 1))
        self.trades.append(trade)
        rows = self.writer.hold(arrow(GOLD_TRADES, [trade]))
        written = rows.append(GOLD_TRADES, TxnId("gold/v1", batch))
        return BatchResult("gold/v1", batch, written, output=rows)

    def take_by_query(self):
        """Do what the stream's own query does: read to Gold's newest version."""
        position, log = OffsetLog(self.checkpoint).position(1), OffsetLog(self.checkpoint)
        first = next_version(position.starts[0]) or 0 if position.starts else 0
        end = self.writer.version(GOLD_TRADES) + 1
        log.plan(position.batch, (table_offset(self.writer.table_id(GOLD_TRADES), end),), 0, 0)
        trades = self.trades[max(first - 1, 0) : end - 1]
        rows = self.writer.hold(arrow(GOLD_TRADES, trades)).map_arrow(*self.buffer.reduction)
        self.chained.processor.process(rows, TxnId(APP, position.batch))
        log.commit(position.batch, 0)

    def stored(self):
        return numbers(stored(self))


@pytest.fixture
def bars(tmp_path):
    return Bars(tmp_path)


def test_batches_are_written_together_as_the_streams_next(bars):
    for batch in range(3):
        bars.buffer.add(bars.gold(batch))

    report = bars.buffer.flush()

    assert (report.stream, report.batch_id, report.rows) == (APP, 0, 3)
    assert report.progress["batchId"] == 0
    assert bars.stored() == plain_bars(bars.trades)
    position = OffsetLog(bars.checkpoint).position(1)
    assert (position.batch, next_version(position.starts[0])) == (1, 4)


def test_what_gold_has_by_then_and_was_not_passed_on_waits_for_the_next(bars):
    bars.buffer.add(bars.gold(0))
    later = bars.gold(1)

    first = bars.buffer.flush()
    bars.buffer.add(later)
    second = bars.buffer.flush()

    assert (first.rows, second.rows) == (1, 1)
    assert not bars.chained.is_behind
    assert bars.stored() == plain_bars(bars.trades)


def test_nothing_is_due_before_its_time(tmp_path):
    patient, eager = Bars(tmp_path / "patient", seconds=3600), Bars(tmp_path / "eager")
    assert not eager.buffer.is_due

    for bars in (patient, eager):
        bars.buffer.add(bars.gold(0))

    assert (patient.buffer.is_due, eager.buffer.is_due) == (False, True)


def test_without_a_batch_nothing_is_written(bars):
    assert bars.buffer.flush() is None
    assert not bars.chained.is_behind


def test_a_batch_that_was_not_passed_on_leaves_all_to_the_query(bars):
    bars.gold(0)
    bars.buffer.add(bars.gold(1))

    assert bars.buffer.flush() is None
    assert bars.chained.is_behind


def test_what_comes_while_the_query_runs_follows_what_it_read(bars):
    bars.buffer.add(bars.gold(0))
    bars.chained.begin_catch_up()
    read = bars.gold(1)
    bars.buffer.add(read)  # the query has begun, but has not looked how far Gold is
    bars.take_by_query()
    bars.buffer.add(bars.gold(2))

    while_it_runs = (bars.buffer.is_due, bars.buffer.flush())
    bars.chained.finish_catch_up()

    assert while_it_runs == (False, None)
    assert bars.buffer.is_due
    assert bars.buffer.flush().rows == 1
    assert not bars.chained.is_behind
    assert bars.stored() == plain_bars(bars.trades)


def test_what_the_query_read_is_not_taken_again(bars):
    bars.chained.begin_catch_up()
    bars.buffer.add(bars.gold(0))
    bars.take_by_query()
    bars.chained.finish_catch_up()

    assert bars.buffer.flush() is None
    assert not bars.chained.is_behind
    assert bars.stored() == plain_bars(bars.trades)


def test_more_than_a_query_of_an_hour_leaves_is_left_to_the_next_query(bars, monkeypatch):
    monkeypatch.setattr("k2.engine.batch_buffer._MAX_HELD", 2)
    bars.chained.begin_catch_up()

    for batch in range(3):
        bars.buffer.add(bars.gold(batch))
    bars.chained.finish_catch_up()

    assert bars.buffer.flush() is None
    assert bars.chained.is_behind


def test_a_batch_that_gold_had_before_is_left(bars):
    gold = bars.gold(0)

    bars.buffer.add(replace(gold, written=gold.output.append(GOLD_TRADES, TxnId("gold/v1", 0))))

    assert bars.chained.is_behind


def test_bars_that_cannot_be_written_are_left(bars, monkeypatch):
    def refuse(*_):
        raise OSError("no room")

    bars.buffer.add(bars.gold(0))
    monkeypatch.setattr(bars.chained.processor, "process", refuse)

    with pytest.raises(OSError, match="no room"):
        bars.buffer.flush()

    assert bars.chained.is_behind
    assert bars.buffer.flush() is None

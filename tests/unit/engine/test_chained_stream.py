"""When a batch may be handed on, as which batch, and when it is left to the stream's own query."""

import shutil

import pytest

from k2.engine.chained_stream import ChainedStream
from k2.errors import StaleCheckpointError
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import silver_trades
from k2.storage.checkpoints.offset_log import OffsetLog, next_version
from k2.storage.delta import ensure_table
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.streams import IdleProcessor, Mutex
from tests.support.trades import append_silver, arrow, silver_row

pytestmark = pytest.mark.unit

READS = (silver_trades(BINANCE), silver_trades(KRAKEN))
APP = "silver-binance/v1"


class Gold:
    """Two tables upstream, what is given to them, and a chained stream that reads them."""

    def __init__(self, folder):
        self.folder, self.checkpoint = folder, folder / "checkpoint"
        self.upstream = ArrowWriter(folder / "lake")
        for table in READS:
            ensure_table(folder / "lake", table)
        self.written, self.closed, self.prepared = [], 0, 0
        self.again()

    def again(self):
        """Start over, as a new process does."""
        writer = ArrowWriter(self.folder / "lake")
        self.chained = ChainedStream(
            "gold/v1",
            self.checkpoint,
            writer.lake,
            GOLD_TRADES,
            READS,
            self,
            writer,
            Mutex(),
            self.make,
        )

    def make(self):
        self.prepared += 1

    def close(self):
        self.closed += 1

    def give(self, batch, exchange=BINANCE):
        table = silver_trades(exchange)
        given = TxnId(f"silver-{exchange.name}/v1", batch)
        self.upstream.append(table, given, arrow(table, [silver_row(exchange, batch)]))
        return given

    def take(self, given, exchange=BINANCE, fails=None):
        with self.chained.next_batch(silver_trades(exchange), {given}) as planned:
            if planned is None:
                return None
            self.written.append(planned.txn.version)
            if fails is not None:
                raise fails
        return planned.progress

    @property
    def position(self):
        return OffsetLog(self.checkpoint).position(2)

    @property
    def read_to(self):
        return [next_version(start) for start in self.position.starts]


@pytest.fixture
def gold(tmp_path):
    return Gold(tmp_path)


def test_batches_of_both_inputs_are_handed_on_one_by_one(gold):
    progress = [
        gold.take(gold.give(0)),
        gold.take(gold.give(0, KRAKEN), KRAKEN),
        gold.take(gold.give(1)),
    ]

    assert gold.written == [0, 1, 2] == [made["batchId"] for made in progress]
    assert gold.read_to == [3, 2]
    assert [len(made["sources"]) for made in progress] == [1, 1, 1]
    assert not gold.chained.is_behind
    assert gold.prepared == 1


def test_what_it_has_it_does_not_take_again(gold):
    given = gold.give(0)
    gold.take(given)

    gold.again()

    assert gold.take(given) is None
    assert gold.written == [0]
    assert not gold.chained.is_behind


@pytest.mark.parametrize("between", ["other batch", "rows of nobody"])
def test_with_something_else_to_read_it_is_left_to_the_query(gold, between):
    gold.take(gold.give(0))
    if between == "other batch":
        gold.give(1)
    else:
        append_silver(gold.folder / "lake", BINANCE, [silver_row(BINANCE, 9)])

    assert gold.take(gold.give(2)) is None
    assert gold.written == [0]
    assert gold.chained.is_behind


def test_news_of_another_input_is_no_hindrance(gold):
    gold.take(gold.give(0))
    gold.give(0, KRAKEN)

    assert gold.take(gold.give(1)) is not None
    assert gold.read_to == [3, 0]


def test_nothing_is_handed_on_while_the_query_runs(gold):
    gold.chained.is_behind = True
    gold.chained.begin_catch_up()
    assert gold.closed == 1
    assert not gold.chained.is_behind

    given = gold.give(0)
    assert gold.take(given) is None
    assert gold.chained.is_behind

    gold.chained.finish_catch_up()
    assert gold.take(given) is not None
    assert gold.chained.is_behind, "the query looks once more whether it is level"


def test_a_batch_that_failed_is_left_and_may_be_handed_on_again(gold):
    given = gold.give(0)
    with pytest.raises(OSError, match="no room"):
        gold.take(given, fails=OSError("no room"))
    assert gold.chained.is_behind
    assert gold.position.planned is not None

    gold.again()
    gold.take(given)

    assert gold.written == [0, 0]
    assert gold.position.planned is None


def test_a_batch_that_was_begun_is_no_other(gold):
    given = gold.give(0)
    with pytest.raises(OSError, match="no room"):
        gold.take(given, fails=OSError("no room"))
    other = gold.give(0, KRAKEN)

    gold.again()

    assert gold.take(other, KRAKEN) is None
    assert gold.chained.is_behind
    assert gold.written == [0]


def test_a_batch_that_was_begun_keeps_its_end(gold):
    given = gold.give(0)
    with pytest.raises(OSError, match="no room"):
        gold.take(given, fails=OSError("no room"))
    gold.give(1)

    gold.again()

    assert gold.take(given) is None
    assert gold.chained.is_behind


def test_a_query_that_stopped_within_a_version_goes_on_by_itself(gold):
    gold.take(gold.give(0))
    offsets = gold.checkpoint / "offsets" / "0"
    offsets.write_text(offsets.read_text().replace('"index":-1', '"index":2'))

    assert gold.take(gold.give(1)) is None
    assert gold.chained.is_behind
    assert gold.chained.has_unread({})


def test_it_is_behind_what_nobody_will_hand_on(gold):
    assert not gold.chained.has_unread({})
    given = gold.give(0)

    assert gold.chained.has_unread({})
    assert gold.chained.has_unread({given.app_id: 1})
    assert not gold.chained.has_unread({given.app_id: 0}), "the stream before repeats it"

    gold.take(given)
    assert not gold.chained.has_unread({})


def test_tables_that_are_not_there_hold_nothing(tmp_path):
    nowhere = ArrowWriter(tmp_path)
    chained = ChainedStream(
        "gold/v1",
        tmp_path / "c",
        tmp_path,
        GOLD_TRADES,
        READS,
        IdleProcessor(),
        nowhere,
        Mutex(),
        lambda: None,
    )

    assert not chained.has_unread({})


def test_an_exchange_that_is_new_has_given_nothing(gold):
    gold.take(gold.give(0))
    offsets = gold.checkpoint / "offsets" / "0"
    offsets.write_text("\n".join(offsets.read_text().split("\n")[:-1]))

    gold.take(gold.give(0, KRAKEN), KRAKEN)

    assert gold.written == [0, 1]
    assert gold.read_to == [2, 2]


def test_a_source_that_was_made_anew_is_left_to_the_query_which_says_so(gold):
    for batch in range(3):
        gold.take(gold.give(batch))
    shutil.rmtree(gold.folder / "lake" / READS[0].name)
    ensure_table(gold.folder / "lake", READS[0])

    gold.again()

    assert gold.chained.has_unread({})


def test_a_stream_that_may_not_begin_is_left_to_its_query_which_says_why(gold):
    def refuse():
        raise StaleCheckpointError("of another history")

    gold.chained.prepare = refuse

    with pytest.raises(StaleCheckpointError):
        gold.take(gold.give(0))

    assert gold.chained.is_behind

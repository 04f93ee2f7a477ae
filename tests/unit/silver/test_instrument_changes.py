"""A list that is loaded while Silver works: no batch changes its mind, and no letter is lost."""

import pytest

from k2.bronze.table import bronze_trades
from k2.errors import ConfigError
from k2.exchanges.binance import BINANCE
from k2.exchanges.instruments import Fact
from k2.home.instrument_lists import InstrumentLists
from k2.silver.processor import SilverProcessor
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.delta import ensure_table, open_table
from k2.storage.writers.arrow import ArrowBatch, ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.trades import READER, SCHEMA_TEXT, binance_raw, bronze_table, framed

pytestmark = pytest.mark.unit

NEW = Fact("spot", "NEWUSDT", "NEW", "USDT", "spot")
KNOWN, UNKNOWN = (framed(binance_raw(symbol=name, trade_id=7)) for name in ("BTCUSDT", "NEWUSDT"))


class Registry:
    def schema_by_id(self, schema_id):
        return SCHEMA_TEXT.get(schema_id)


@pytest.fixture
def home(settings):
    for table in (bronze_trades, silver_trades, duplicates, dead_letters):
        ensure_table(settings.lake, table(BINANCE))
    return settings


def take(home, batch, *values):
    """One batch by a process of its own."""
    writer = ArrowWriter(home.lake)
    processor = SilverProcessor(BINANCE, home, Registry(), READER["binance"])
    try:
        rows = writer.hold(bronze_table(BINANCE, values))
        processor.process(rows, TxnId("silver-binance/v1", batch))
    finally:
        processor.close()


def stored(home):
    tables = (silver_trades(BINANCE), dead_letters(BINANCE))
    return [
        sorted(row["offset"] for row in open_table(home.lake, table).to_pyarrow_table().to_pylist())
        for table in tables
    ]


def break_before(monkeypatch, name):
    whole = ArrowBatch.append

    def append(self, table, txn, *rows):
        if table.name == name:
            raise KeyboardInterrupt
        return whole(self, table, txn, *rows)

    monkeypatch.setattr(ArrowBatch, "append", append)


def test_a_loaded_list_counts_from_the_next_batch_on(home):
    take(home, 0, KNOWN, UNKNOWN)
    InstrumentLists(home).load("binance", [NEW], "")

    take(home, 1, UNKNOWN)

    assert stored(home) == [[0, 0], [1]]


def test_a_batch_that_was_half_written_uses_the_list_that_it_began_with(home, monkeypatch):
    with monkeypatch.context() as patch:
        break_before(patch, dead_letters(BINANCE).name)
        with pytest.raises(KeyboardInterrupt):
            take(home, 0, KNOWN, UNKNOWN)
    assert stored(home) == [[0], []]
    InstrumentLists(home).load("binance", [NEW], "")

    take(home, 0, KNOWN, UNKNOWN)

    assert stored(home) == [[0], [1]]


def test_a_batch_that_had_written_nothing_uses_the_new_list(home, monkeypatch):
    with monkeypatch.context() as patch:
        break_before(patch, silver_trades(BINANCE).name)
        with pytest.raises(KeyboardInterrupt):
            take(home, 0, KNOWN, UNKNOWN)
    InstrumentLists(home).load("binance", [NEW], "")

    take(home, 0, KNOWN, UNKNOWN)

    assert stored(home) == [[0, 1], []]


def test_a_list_that_a_half_written_batch_used_and_that_is_gone_stops_it(home, monkeypatch):
    with monkeypatch.context() as patch:
        break_before(patch, dead_letters(BINANCE).name)
        with pytest.raises(KeyboardInterrupt):
            take(home, 0, KNOWN, UNKNOWN)
    InstrumentLists(home).load("binance", [NEW], "")
    for path in (home.home / "instruments" / "versions").iterdir():
        path.unlink()

    with pytest.raises(ConfigError, match="Put it back"):
        take(home, 0, KNOWN, UNKNOWN)

    assert stored(home) == [[0], []]

"""One query an exchange through to Gold: the same tables as of five, whatever breaks between."""

import json
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from k2.bars.processor import bars_stream
from k2.bars.store import BarStore
from k2.bars.table import BARS, GOLD_OHLCV
from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.engine.batch_buffer import BatchBuffer
from k2.engine.engine import Engine
from k2.errors import FailedError
from k2.exchanges.binance import BINANCE
from k2.exchanges.instruments import shipped_instruments
from k2.exchanges.kraken import KRAKEN
from k2.gold.processor import gold_stream
from k2.gold.table import GOLD_TRADES
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings
from k2.silver.processor import SilverProcessor, silver_stream
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.checkpoints.offset_log import newest
from k2.storage.delta import open_table
from k2.storage.writers.arrow import ArrowWriter
from k2.topology import chain_streams
from tests.support.home import wait_until
from tests.support.lake import Lake, Registry
from tests.support.trades import (
    READER,
    SCHEMA_TEXT,
    append_silver,
    avro,
    binance_raw,
    framed,
    header,
    kraken_raw,
    silver_row,
)

pytestmark = pytest.mark.integration

KRAKEN_ID, NEW_ID = 3, 77
NEW_SCHEMA = json.dumps(
    json.loads(SCHEMA_TEXT[KRAKEN_ID])
    | {
        "fields": [
            *json.loads(SCHEMA_TEXT[KRAKEN_ID])["fields"],
            {"name": "venue", "type": "string", "default": ""},
        ]
    }
)

# Tables that Silver's own tests break too, one by one: here with the long tests.
BETWEEN_SILVERS = [pytest.param(table, marks=pytest.mark.slow) for table in ("dlq_k", "dup_b")]


class Failure(Exception):
    """Stands for a write that fails, or for the process dying here."""


@dataclass
class BreakingWriter(ArrowWriter):
    """Breaks right after the append to a table: once, or as if the process had died."""

    breaks_after: str = ""
    dies: bool = False
    is_broken: bool = False

    def append(self, table, txn, rows):
        if self.is_broken and self.dies:
            raise Failure("dead")
        appended = super().append(table, txn, rows)
        if self.breaks_after and table.name.startswith(self.breaks_after) and not self.is_broken:
            self.is_broken = True
            raise Failure(f"after {table.name}")
        return appended


class Market:
    """Two exchanges of the test's own with a topic each, and homes that read them."""

    def __init__(self, spark, stack, folder):
        self.spark, self.stack, self.folder = spark, stack, folder
        tag = uuid4().hex[:8]
        self.binance = replace(BINANCE, name=f"b{tag}")
        self.kraken = replace(KRAKEN, name=f"k{tag}")
        self.exchanges = (self.binance, self.kraken)
        admin = AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0})
        topics = [NewTopic(exchange.topic, 1, 1) for exchange in self.exchanges]
        for made in admin.create_topics(topics).values():
            made.result(30)

    def send(self, exchange, *values):
        producer = Producer({"bootstrap.servers": self.stack.kafka, "log_level": 0})
        for value in values:
            producer.produce(exchange.topic, value, b"key")
        assert producer.flush(30) == 0

    def home(self, name, **changes):
        """A home, empty until it is run."""
        settings = Settings.load(home=self.folder / name, **changes)
        facts = shipped_instruments("binance").rows()  # by the name that the exchange has here
        InstrumentLists(settings).load(self.binance.name, facts, "")
        return Home(self, settings)


class Home:
    """A lake that is run in either form, each time by a process that has just started."""

    def __init__(self, market, settings):
        self.market, self.settings = market, settings
        self.lake = Lake(market.spark, settings)
        self.registry = Registry()
        self.chained = set()
        self.queried = set()

    def streams(self, writer, together):
        exchanges, settings = self.market.exchanges, self.settings
        readers = [READER["binance"], READER["kraken"]]
        bronze = [
            bronze_stream(exchange, settings, writer, self.market.stack.kafka)
            for exchange in exchanges
        ]
        silver = [
            silver_stream(exchange, settings, writer, self.registry, reader)
            for exchange, reader in zip(exchanges, readers, strict=True)
        ]
        gold = gold_stream(exchanges, settings, writer)
        bars = bars_stream(settings, writer)
        if together:
            return chain_streams(bronze, silver, gold, bars, settings)
        return [*bronze, *silver, gold, bars]

    def run_one_by_one(self, *layers):
        """Run the streams as jobs would: Bronze, then Silver, Gold and the bars, or some of them."""
        for layer in layers or ("bronze", "silver", "gold", BARS):
            of_layer = [stream for stream in self.one_by_one() if layer_of(stream) == layer]
            with Engine(self.market.spark, self.settings, of_layer, True) as engine:
                engine.run_to_end()

    def one_by_one(self):
        """The streams as jobs have them."""
        return self.streams(ArrowWriter(self.settings.lake), together=False)

    def run(self, breaks_after="", dies=False):
        """Run the chained form until nothing is left; note which streams took batches in memory and which read."""
        self.chained, self.queried = set(), set()
        writer = BreakingWriter(self.settings.lake, breaks_after=breaks_after, dies=dies)
        streams = self.streams(writer, together=True)
        with Engine(self.market.spark, self.settings, streams, True, self._note) as engine:
            engine.run_to_end()
        return engine

    def tables(self):
        """Everything that is stored, but for when it was."""
        exchanges = self.market.exchanges
        kinds = (bronze_trades, silver_trades, duplicates, dead_letters)
        found = {
            table.name: [
                {name: value for name, value in row.items() if name != "ingested_at"}
                for row in self.lake.rows(table)
            ]
            for table in (*(kind(e) for e in exchanges for kind in kinds), GOLD_TRADES)
        }
        bars = open_table(self.settings.lake, GOLD_OHLCV)
        rows = [] if bars is None else bars.to_pyarrow_table().to_pylist()
        # How often a bar changed is how its trades came in batches.
        numbers = [{name: bar[name] for name in bar if name != "revision"} for bar in rows]
        return found | {
            BARS: sorted(numbers, key=lambda bar: [bar[name] for name in GOLD_OHLCV.key])
        }

    def _note(self, stream, report):
        who = layer_of(stream)
        (self.queried if report.progress is None else self.chained).add(who)


def layer_of(stream):
    """The layer of a stream; the bars are one for themselves."""
    return BARS if stream.name == BARS else stream.layer


@pytest.fixture
def market(spark, stack, tmp_path):
    return Market(spark, stack, tmp_path)


@pytest.fixture(scope="module")
def filled(spark, stack, tmp_path_factory):
    """A market whose topics hold all kinds of records; nobody sends more."""
    market = Market(spark, stack, tmp_path_factory.mktemp("filled"))
    numbers = (1, 2, 1, 3)
    market.send(market.binance, *(framed(binance_raw(trade_id=n)) for n in numbers), b"rubbish")
    market.send(
        market.kraken,
        *(framed(kraken_raw(trade_id=n)) for n in (1, 2)),
        framed(kraken_raw(trade_id=9, price="-1", side="x")),
        header(66) + b"?",
        None,
    )
    return market


@pytest.fixture(scope="module")
def expected(filled):
    """What five streams make of it."""
    home = filled.home("one-by-one")
    home.run_one_by_one()
    return home.tables()


def test_the_tables_are_those_of_five_streams(filled, expected):
    home = filled.home("chained")

    home.run()

    found = home.tables()
    assert home.queried == {"bronze"}
    assert home.chained == {"silver", "gold", BARS}
    assert found == expected
    assert [row["offset"] for row in found[f"silver_{filled.binance.name}_trades"]] == [0, 1, 3]
    assert len(found["gold_trades"]) == 5


def test_batches_that_come_while_one_is_handed_on_are_handed_on_after_it(market, monkeypatch):
    home = market.home("fast", max_records_per_batch=1)
    market.send(market.kraken, *(framed(kraken_raw(trade_id=n)) for n in range(5)))
    process = SilverProcessor.process
    bronze = bronze_trades(market.kraken)

    def slow(processor, batch, txn):
        wanted = min(txn.version + 2, 5)  # until Bronze has the batch after this one
        wait_until(lambda: len(home.lake.rows(bronze)) >= wanted, 60)
        return process(processor, batch, txn)

    monkeypatch.setattr(SilverProcessor, "process", slow)
    home.run()

    assert home.queried == {"bronze"}
    assert home.lake.offsets(GOLD_TRADES) == [0, 1, 2, 3, 4]


def test_both_forms_go_on_from_each_other(market):
    home = market.home("both")
    market.send(market.kraken, *(framed(kraken_raw(trade_id=n)) for n in (1, 2)))
    home.run()
    market.send(market.kraken, *(framed(kraken_raw(trade_id=n)) for n in (2, 3)))
    home.run_one_by_one()
    market.send(market.kraken, *(framed(kraken_raw(trade_id=n)) for n in (3, 4)))
    market.send(market.binance, framed(binance_raw(trade_id=1)))

    home.run()

    assert home.queried == {"bronze"}
    assert home.chained == {"silver", "gold", BARS}
    assert home.lake.offsets(silver_trades(market.kraken)) == [0, 1, 3, 5]
    assert home.lake.offsets(duplicates(market.kraken)) == [2, 4]
    assert home.lake.offsets(silver_trades(market.binance)) == [0]
    assert home.lake.offsets(GOLD_TRADES) == [0, 0, 1, 3, 5]


@pytest.mark.parametrize("layers", [("bronze",), ("bronze", "silver")])
def test_what_was_left_by_other_streams_is_taken_first(filled, expected, layers):
    home = filled.home("left-" + layers[-1])
    home.run_one_by_one(*layers)

    home.run()

    assert "gold" in home.queried
    assert ("silver" in home.queried) is (layers == ("bronze",))
    assert home.tables() == expected


@pytest.mark.parametrize("table", ["bronze_k", "silver_k", *BETWEEN_SILVERS, "gold"])
def test_a_process_that_dies_after_any_table_loses_and_doubles_nothing(filled, expected, table):
    home = filled.home("dies-" + table)
    with pytest.raises(FailedError):
        home.run(breaks_after=table, dies=True)
    for bronze in home.one_by_one()[:2]:
        if newest(bronze.checkpoint(home.settings) / "commits") is not None:
            home.lake.forget_last_commit(bronze)  # a dead process would not have got so far

    home.run()

    assert home.tables() == expected


@pytest.mark.parametrize("table", ["silver_k", *BETWEEN_SILVERS, "gold"])
def test_what_fails_on_the_way_is_left_to_the_streams_own_query(filled, expected, table):
    home = filled.home("fails-" + table)

    engine = home.run(breaks_after=table)

    assert engine.failures == []
    assert "gold" in home.queried
    assert home.tables() == expected


def test_bars_that_could_not_be_written_are_left_to_their_own_query(filled, expected, monkeypatch):
    home = filled.home("bars-fail")

    def refuse(*_):
        monkeypatch.undo()
        raise OSError("no room")

    monkeypatch.setattr(BarStore, "_commit", refuse)
    engine = home.run()

    assert engine.failures == []
    assert BARS in home.queried
    assert home.tables() == expected


def test_bars_that_a_dead_process_had_collected_are_made_of_gold(filled, expected, monkeypatch):
    home = filled.home("bars-lost")
    with monkeypatch.context() as patch:
        patch.setattr(BatchBuffer, "flush", lambda _: None)  # it never came to that
        home.run()
    assert open_table(home.settings.lake, GOLD_OHLCV) is None

    home.run()

    assert home.queried == {BARS}
    assert home.tables() == expected


def test_a_second_run_adds_nothing_and_a_batch_that_bronze_repeats_is_handed_on_once(
    filled, expected
):
    home = filled.home("again")
    home.run()
    home.run()
    before = home.tables()
    for stream in home.one_by_one()[:2]:
        home.lake.forget_last_commit(stream)

    home.run()

    assert home.tables() == before == expected


def test_a_new_schema_is_learned_in_the_middle(market):
    home = market.home("learns")
    market.send(market.kraken, framed(kraken_raw(trade_id=1)))
    home.run()
    home.registry.schemas[NEW_ID] = NEW_SCHEMA
    record = kraken_raw(trade_id=2) | {"venue": "x"}
    market.send(market.kraken, header(NEW_ID) + avro(record, NEW_SCHEMA))

    home.run()

    assert home.lake.offsets(silver_trades(market.kraken)) == [0, 1]
    assert home.lake.offsets(GOLD_TRADES) == [0, 1]
    assert home.queried == {"bronze"}


def test_a_registry_that_does_not_answer_keeps_bronze_from_nothing(market):
    home = market.home("silent")
    market.send(market.kraken, framed(kraken_raw(trade_id=1)))
    home.registry.down = 1

    home.run()

    assert home.queried == {"bronze", "silver", "gold", BARS}
    assert home.lake.offsets(GOLD_TRADES) == [0]
    assert home.lake.offsets(dead_letters(market.kraken)) == []


def test_rows_that_reach_silver_by_another_way_reach_gold(market):
    home = market.home("replayed")
    market.send(market.kraken, framed(kraken_raw(trade_id=1)))
    home.run()
    of_market = {"exchange": market.kraken.name, "topic": market.kraken.topic}
    append_silver(home.settings.lake, market.kraken, [silver_row(KRAKEN, 90) | of_market])
    market.send(market.kraken, framed(kraken_raw(trade_id=2)))

    home.run()

    assert home.lake.offsets(GOLD_TRADES) == [0, 1, 90]

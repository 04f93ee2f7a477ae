"""The loader without Spark keeps the contract, or comparing with it would say nothing."""

import time

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.lean_rows import Decoder, to_trades
from k2.avro.encoding import encoder
from k2.exchanges import EXCHANGES
from k2.feeds.simulator.record import SimulatedRecord
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from tests.support.trades import SCHEMA_TEXT

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def records() -> list[SimulatedRecord]:
    ids = {text: id_ for id_, text in SCHEMA_TEXT.items()}
    encoders = {
        file: encoder(text, ids.get(text, 0))  # of those that are not compared none is sent
        for exchange in EXCHANGES
        for file in exchange.raw_schemas
        if (text := schema(file))
    }
    start_us = time.time_ns() // 1000 - 10_000_000
    simulation = Simulation(start_us, 500.0, bad=0.05, coinbase_share=0.0)  # not in the comparison
    feed = SimulatedFeed(simulation, encoders, Progress())
    blocks = feed.blocks()
    return [record for _ in range(6) for record in next(blocks)]


def schema(file: str) -> str:
    from k2.avro.schema_files import schema_text

    return schema_text(file)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_every_bad_record_is_a_dead_letter_and_no_other(records, exchange):
    sent = [record for record in records if record.fact.exchange == exchange]
    decoder = Decoder(SCHEMA_TEXT.get)
    read = [decoder.read(record.value) for record in sent]
    whole = [at for at, (_, error, _) in enumerate(read) if error is None]
    times = pa.array([time.time_ns() // 1000] * len(whole), pa.int64())
    lineage = pa.table(
        {
            "offset": pa.array(whole, pa.int64()),
            "kafka_timestamp": times.cast(pa.timestamp("us", "UTC")),
        }
    )

    trades = to_trades(exchange, [read[at][0] for at in whole], lineage)

    good = set(trades.filter(pc.equal(trades["reasons"], ""))["offset"].to_pylist())
    assert good == {at for at, record in enumerate(sent) if record.fact.kind != "bad"}

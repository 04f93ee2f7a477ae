"""Records made ahead, so that a burst comes as fast as it is asked for.

The simulated feed makes some 20,000 records a second beside a service on two cores.
"""

import time
from itertools import chain, islice

from benchmarks.home import Home
from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.connectors.schema_registry import SchemaRegistry
from k2.exchanges import EXCHANGES
from k2.feeds.producer import FeedProducer
from k2.feeds.simulator.feed_files import read_progress
from k2.feeds.simulator.record import SimulatedRecord
from k2.feeds.simulator.simulation import SimulatedFeed, Simulation

_AT_ONCE = 0.01  # seconds of records between two looks at the clock


def made_ahead(home: Home, count: int, rate: int) -> list[SimulatedRecord]:
    """Make records of now, which go on where the home's feed ended."""
    registry = SchemaRegistry(home.endpoints()["registry"])
    ids = [pair for exchange in EXCHANGES for pair in registry.register(exchange).items()]
    encoders = {file: encoder(schema_text(file), schema_id) for file, schema_id in ids}
    simulation = Simulation(time.time_ns() // 1000, 1e6 / rate, coinbase_share=0, block_size=2_048)
    progress = read_progress(home.folder / "run" / "simulator.json")
    feed = SimulatedFeed(simulation, encoders, progress)
    return list(islice(chain.from_iterable(feed.blocks()), count))


def send(home: Home, records: list[SimulatedRecord], rate: int) -> float:
    """Send them at ``rate`` a second, or as fast as Kafka takes them; return the seconds it took."""
    step = max(int(rate * _AT_ONCE), 1)
    began = time.monotonic()
    with FeedProducer(home.kafka()) as producer:
        for first in range(0, len(records), step):
            ahead = first / rate - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
            for record in records[first : first + step]:
                producer.send(record.topic, record.key, record.value)
    return time.monotonic() - began

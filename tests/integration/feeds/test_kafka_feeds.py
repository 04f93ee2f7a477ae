"""Feeds against a real broker and a real registry."""

import json
import time
from collections import Counter
from decimal import Decimal
from io import BytesIO
from threading import Event
from uuid import uuid4

import fastavro
import pytest
from confluent_kafka import Consumer, TopicPartition

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.connectors.kafka import MAX_MESSAGE_BYTES, ensure_topics, watermarks
from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES, exchange_named
from k2.feeds.producer import FeedProducer
from k2.feeds.replay import replay
from k2.feeds.simulator.market import MARKETS
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from k2.feeds.simulator.simulator import FeedFiles, Schedule, Simulator
from tests.checker.expected import expected_trades
from tests.support.recordings import name_of, recorded_files, trades_in

pytestmark = pytest.mark.integration

NOBODY = "127.0.0.1:1"


def consumed(bootstrap, topic):
    """Every record of a topic: (key, value), partition by partition."""
    return [(message.key(), message.value()) for message in messages(bootstrap, topic)]


def messages(bootstrap, topic):
    """Every message of a topic, partition by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"test-{uuid4()}"})
    found = []
    for partition, (low, high) in watermarks(bootstrap, topic).items():
        consumer.assign([TopicPartition(topic, partition, low)])
        while low < high:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            found.append(message)
            low = message.offset() + 1
    consumer.close()
    return found


class Into:
    """Sends everything to one topic of the test's own: the stack is shared."""

    def __init__(self, producer, topic):
        self._producer = producer
        self._topic = topic
        self.flush = producer.flush

    def send(self, _topic, key, value, time_ms=None):
        self._producer.send(self._topic, key, value, time_ms)


@pytest.fixture
def topic(stack):
    name = f"test-{uuid4()}"
    ensure_topics(stack.kafka, [name], 2)
    return name


def test_topics_are_created_once_with_their_partitions(stack):
    topic = f"test-{uuid4()}"

    first = ensure_topics(stack.kafka, [topic], 3)
    second = ensure_topics(stack.kafka, [topic], 5)

    assert (first, second) == ([topic], [])
    assert watermarks(stack.kafka, topic) == {0: (0, 0), 1: (0, 0), 2: (0, 0)}


def test_a_topic_that_does_not_exist_reaches_nowhere(stack):
    assert watermarks(stack.kafka, f"test-{uuid4()}") == {}


def test_records_arrive_in_order_per_key_with_nulls_and_empty_values(stack):
    topic = f"test-{uuid4()}"
    ensure_topics(stack.kafka, [topic], 1)

    with FeedProducer(stack.kafka) as producer:
        for number in range(5_000):
            producer.send(topic, b"BTCUSDT", b"%d" % number)
        producer.send(topic, None, None)
        producer.send(topic, b"", b"")

    records = consumed(stack.kafka, topic)
    assert [value for _, value in records[:5_000]] == [b"%d" % n for n in range(5_000)]
    assert records[5_000:] == [(None, None), (b"", b"")]


def test_a_rejected_message_of_megabytes_is_kept_whole(stack):
    topic = f"test-{uuid4()}"
    ensure_topics(stack.kafka, [topic], 1, config={"max.message.bytes": str(MAX_MESSAGE_BYTES)})
    message = bytes(range(256)) * 40_000

    with FeedProducer(stack.kafka) as producer:
        producer.send(topic, None, message)

    assert consumed(stack.kafka, topic) == [(None, message)]


@pytest.mark.parametrize("call", ["ensure_topics", "watermarks", "producer"])
def test_a_broker_that_is_not_there_is_named_within_seconds(call, capfd):
    def send():
        with FeedProducer(NOBODY, delivery_seconds=1) as producer:
            producer.send("topic", None, b"x")

    calls = {
        "ensure_topics": lambda: ensure_topics(NOBODY, ["topic"], 1, timeout=1),
        "watermarks": lambda: watermarks(NOBODY, "topic", timeout=1),
        "producer": send,
    }

    with pytest.raises(UnavailableError, match=NOBODY):
        calls[call]()

    assert capfd.readouterr() == ("", "")


def test_schemas_are_registered_and_found_by_id(stack, tmp_path):
    registry = SchemaRegistry(stack.registry, tmp_path)

    for exchange in EXCHANGES:
        ids = registry.register(exchange)
        assert registry.register(exchange) == ids
        for file, schema_id in ids.items():
            assert json.loads(registry.schema_by_id(schema_id)) == json.loads(schema_text(file))

    assert registry.schema_by_id(1_999_999_999) is None
    assert SchemaRegistry("http://127.0.0.1:1", tmp_path).schema_by_id(schema_id) is not None


@pytest.mark.parametrize("recording", recorded_files("kraken/v2-*"), ids=name_of)
def test_a_replayed_recording_is_read_back_with_the_registered_schema(stack, topic, recording):
    kraken = exchange_named("kraken")
    registry = SchemaRegistry(stack.registry)
    schema_id = registry.register(kraken)[kraken.reader_schema]
    encode = encoder(schema_text(kraken.reader_schema), schema_id)

    with FeedProducer(stack.kafka) as producer:
        (counts,) = replay([recording], kraken, encode, Into(producer, topic))

    schema = fastavro.parse_schema(json.loads(registry.schema_by_id(schema_id)))
    records = consumed(stack.kafka, topic)
    trades = [fastavro.schemaless_reader(BytesIO(v[5:]), schema, None) for _, v in records]
    assert counts.trades == len(trades) == trades_in(recording)
    assert {value[:5] for _, value in records} == {b"\x00" + schema_id.to_bytes(4, "big")}
    assert [key.decode() for key, _ in records] == [trade["symbol"] for trade in trades]
    assert sorted(Decimal(trade["price"]) for trade in trades) == sorted(
        trade.price for trade in expected_trades([recording]).values()
    )


def test_a_simulated_stream_arrives_as_its_manifest_says(stack, topic, tmp_path):
    encoders = {m.schema: encoder(schema_text(m.schema), 1) for m in MARKETS}
    simulation = Simulation(1_790_000_000_000_000, 200.0, bad=0.05)
    manifest = tmp_path / "manifest.jsonl"

    with FeedProducer(stack.kafka) as producer:
        Simulator(
            SimulatedFeed(simulation, encoders, Progress()),
            Into(producer, topic),
            Schedule(rate=None, count=5_000),
            FeedFiles(manifest=manifest),
            stop=Event(),
        ).run()

    facts = [json.loads(line) for line in manifest.read_text().splitlines()]
    records = consumed(stack.kafka, topic)
    assert len(records) == len(facts) == 5_000
    assert Counter(key.decode() for key, _ in records) == Counter(f["symbol"] for f in facts)


def test_a_record_has_the_broker_time_it_was_given_or_the_present(stack, topic):
    before = round(time.time() * 1000)

    with FeedProducer(stack.kafka) as producer:
        producer.send(topic, b"k", b"then", 1_790_000_000_123)
        producer.send(topic, b"k", b"now")

    times = {message.value(): message.timestamp()[1] for message in messages(stack.kafka, topic)}
    assert times[b"then"] == 1_790_000_000_123
    assert before - 1_000 <= times[b"now"] <= time.time() * 1000 + 1_000

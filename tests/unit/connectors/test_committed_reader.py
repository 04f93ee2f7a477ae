"""Reading a topic back, from the broker that librdkafka has for tests."""

import time

import pytest
from confluent_kafka import Producer

from k2.connectors.committed_reader import ANSWER_SECONDS, CommittedReader

pytestmark = pytest.mark.unit

TOPIC = "t"


@pytest.fixture(scope="module")
def reader():
    """Reads from a broker whose topic has 300 records of 4 kB, and 10 of 4 bytes behind them."""
    producer = Producer(
        {"bootstrap.servers": "instead", "test.mock.num.brokers": 1, "log_level": 0}
    )
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for number in range(310):
        producer.produce(TOPIC, bytes(4_000 if number < 300 else 4), partition=0)
    assert producer.flush(30) == 0
    yield CommittedReader(f"{broker.host}:{broker.port}")
    producer.flush(30)  # the broker lives as long as this client


def test_a_range_is_read_to_its_end_and_no_further_without_waiting(reader):
    began = time.monotonic()

    found = [
        list(reader.committed_offsets(TOPIC, 0, first, end))
        for first, end in ((0, 310), (5, 7), (300, 1_000))
    ]

    assert found == [list(range(310)), [5, 6], list(range(300, 310))]
    assert time.monotonic() - began < ANSWER_SECONDS


def test_the_sizes_of_some_records_are_told(reader):
    assert reader.sizes(TOPIC, 0, [0, 150, 305]) == [4_000, 4_000, 4]


def test_how_far_each_partition_reaches_is_told(reader):
    assert reader.watermarks(TOPIC)[0] == (0, 310)

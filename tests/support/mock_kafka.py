"""A Kafka without Java: brokers that librdkafka plays, which real clients send to and read from.

They make no topic that an administrator asks for: name those that a test needs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

_SECONDS = 10.0
_QUIET = {"log_level": 0}


@dataclass
class MockKafka:
    """Its address; it lives as long as the client that plays it."""

    address: str
    player: Producer | None

    def records(self, *topics: str) -> list[Any]:
        """Return the messages of these topics, each partition's in order."""
        ends = {"enable.partition.eof": True, "enable.auto.commit": False}
        reader = Consumer({"bootstrap.servers": self.address, "group.id": "t", **ends, **_QUIET})
        assert self.player is not None, "it is away"
        known = self.player.list_topics(timeout=_SECONDS).topics
        places = [TopicPartition(name, n, 0) for name in topics for n in known[name].partitions]
        reader.assign(places)
        found, unread = list[Any](), {(place.topic, place.partition) for place in places}
        while unread:
            for message in reader.consume(1_000, 0.02):
                if message.error() is None:
                    found.append(message)
                else:  # its partition's end
                    unread.discard((message.topic(), message.partition()))
        reader.close()
        return found

    def stop(self) -> None:
        """Be away from now on."""
        self.player = None


@contextmanager
def mock_kafka(*topics: str) -> Iterator[MockKafka]:
    """Run a broker with these topics until the block ends."""
    player = Producer({"bootstrap.servers": "instead", "test.mock.num.brokers": 1, **_QUIET})
    for topic in topics:
        player.list_topics(topic, _SECONDS)
    (broker,) = player.list_topics(timeout=_SECONDS).brokers.values()
    running = MockKafka(f"{broker.host}:{broker.port}", player)
    del player
    yield running
    running.stop()

"""Kafka away: records wait on disk, and arrive once and in order when it is back."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from k2.feeds.live.feed_record import Dropped, FeedRecord
from k2.feeds.live.sender import Sender
from k2.feeds.live.spool import Spool
from tests.support.fake_producer import FakeProducer

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sender(folder: Path, clock: Clock, max_bytes: int = 1 << 30) -> tuple[Sender, FakeProducer]:
    made: list[FakeProducer] = []

    def make(settings: dict[str, Any]) -> FakeProducer:
        made.append(FakeProducer(settings))
        return made[-1]

    return Sender("kafka:9092", Spool(folder, max_bytes, 3600), make=make, clock=clock), made[0]


def record(number: int, size: int = 10) -> FeedRecord:
    return FeedRecord("t", b"BTC", bytes(size), number, "BTC", number, number)


def sent(producer: FakeProducer) -> list[int]:
    return [message.timestamp()[1] for message in producer.records]


def tick(sender: Sender, clock: Clock, times: int = 6, seconds: float = 1.0) -> None:
    for _ in range(times):
        clock.now += seconds
        sender.tick()


def test_a_record_goes_to_kafka_at_once(tmp_path: Path, clock: Clock) -> None:
    feed, producer = sender(tmp_path, clock)

    feed.send(record(1))
    feed.tick()

    assert sent(producer) == [1]
    assert (feed.delivered, feed.waiting, feed.spooled) == (1, 0, 0)


def test_what_comes_while_kafka_is_away_arrives_once_in_order(tmp_path: Path, clock: Clock) -> None:
    feed, producer = sender(tmp_path, clock)
    producer.is_up = False
    for number in range(10):
        feed.send(record(number))
    tick(feed, clock)
    for number in range(10, 20):
        feed.send(record(number))
    assert feed.spooled == 10

    producer.is_up = True
    tick(feed, clock)
    feed.send(record(20))
    tick(feed, clock)

    assert sent(producer) == list(range(21))
    assert list(tmp_path.iterdir()) == []


def test_brokers_that_say_they_are_down_are_believed_at_once(tmp_path: Path, clock: Clock) -> None:
    feed, producer = sender(tmp_path, clock)
    producer.is_up = False
    feed.send(record(1))
    producer.fail_brokers()

    feed.tick()
    feed.send(record(2))
    feed.close(0.0)

    assert feed.spooled == 1


def test_what_kafka_did_not_take_before_the_end_is_there_at_the_next_start(
    tmp_path: Path, clock: Clock
) -> None:
    feed, producer = sender(tmp_path, clock)
    producer.is_up = False
    for number in range(5):
        feed.send(record(number))
    tick(feed, clock)
    for number in range(5, 8):
        feed.send(record(number))
    feed.close(0.0)

    again, producer = sender(tmp_path, clock)
    tick(again, clock)
    again.send(record(8))
    tick(again, clock)

    assert sent(producer) == list(range(9))


def test_a_full_spool_drops_its_oldest_range_and_says_which(tmp_path: Path, clock: Clock) -> None:
    feed, producer = sender(tmp_path, clock, max_bytes=9 << 20)
    lost: list[Dropped] = []
    feed.on_drop = lost.append
    producer.is_up = False
    feed.send(record(0))
    tick(feed, clock)

    for number in range(1, 20):
        feed.send(record(number, 1 << 20))
        tick(feed, clock, 1)
    producer.is_up = True
    tick(feed, clock, 20)

    last = max(dropped.ranges["BTC"][1] for dropped in lost)
    assert sent(producer) == [0, *range(last + 1, 20)]
    assert min(dropped.ranges["BTC"][0] for dropped in lost) == 1
    assert sum(dropped.records for dropped in lost) == last


def test_a_producer_that_can_send_no_more_is_replaced_and_loses_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    feed, broken = sender(tmp_path, clock)
    made: list[FakeProducer] = []
    feed.make = lambda settings: made.append(FakeProducer(settings)) or made[-1]
    feed.send(record(0))
    feed.tick()
    broken.is_up = False
    feed.send(record(1))
    broken.is_broken = True
    feed.send(record(2))

    tick(feed, clock)
    feed.send(record(3))
    tick(feed, clock)

    assert (sent(broken), sent(made[0])) == ([0], [1, 2, 3])
    assert (feed.waiting, feed.delivered, list(tmp_path.iterdir())) == (0, 4, [])


def test_what_kafka_gives_back_is_sent_again(tmp_path: Path, clock: Clock) -> None:
    feed, producer = sender(tmp_path, clock)
    producer.is_up = False
    for number in range(3):
        feed.send(record(number))
    producer.purge(in_queue=True, in_flight=True)

    producer.is_up = True
    tick(feed, clock)

    assert sent(producer) == [0, 1, 2]


def test_a_record_that_kafka_never_takes_is_counted_and_waited_for_no_longer(
    tmp_path: Path, clock: Clock
) -> None:
    feed, producer = sender(tmp_path, clock)
    producer.is_up = False
    feed.send(record(1))
    (message,) = producer.queue
    producer.queue.clear()
    message.report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), message)

    tick(feed, clock)

    assert (feed.refused, feed.waiting) == (1, 0)


def test_a_segment_that_was_not_delivered_whole_is_sent_again(tmp_path: Path, clock: Clock) -> None:
    feed, producer = sender(tmp_path, clock)
    producer.is_up = False
    feed.send(record(0))
    tick(feed, clock)
    feed.send(record(1))
    producer.is_up = True
    feed.tick()
    producer.is_up = False
    feed.tick()  # the segment is in the producer now
    producer.purge(in_queue=True, in_flight=True)

    producer.is_up = True
    tick(feed, clock)

    assert sent(producer) == [0, 1]

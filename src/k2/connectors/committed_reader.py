"""What a reader of committed records is given of a topic: which offsets hold a record.

Offsets of aborted transactions, of the markers that end a transaction, and of records that compaction
removed hold none. Kafka does not list them, so the range is read.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from k2.connectors.kafka import client_settings, no_answer, watermarks
from k2.errors import UnavailableError

ANSWER_SECONDS = 15.0
_RECORDS_PER_POLL = 10_000


@dataclass(frozen=True)
class CommittedReader:
    """Reads a Kafka's topics back."""

    bootstrap: str

    def watermarks(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return each partition's first offset and the end of what is committed.

        Raises:
            UnavailableError: the broker does not answer.
        """
        return watermarks(self.bootstrap, topic)

    def committed_offsets(self, topic: str, partition: int, first: int, end: int) -> Iterator[int]:
        """Yield the offsets from ``first`` up to, and without, ``end`` that hold a committed record.

        Raises:
            UnavailableError: the broker does not answer, or no longer has the range's first offset.
        """
        consumer = Consumer(
            {
                **client_settings(self.bootstrap),
                "group.id": "k2-committed-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
            }
        )
        with closing(consumer):
            consumer.assign([TopicPartition(topic, partition, first)])
            while True:
                messages = consumer.consume(_RECORDS_PER_POLL, timeout=ANSWER_SECONDS)
                if not messages:
                    raise no_answer(self.bootstrap, f"no records of {topic} from {first} on")
                for message in messages:
                    offset = _offset(message, topic)
                    if offset is None or offset >= end:
                        return
                    yield offset


def _offset(message: Message, topic: str) -> int | None:
    """The record's offset; None at the end of what is committed."""
    error = message.error()
    if error is None:
        return message.offset()
    if error.code() == KafkaError._PARTITION_EOF:
        return None
    raise UnavailableError(f"Topic {topic} cannot be read back: {error.str()}")

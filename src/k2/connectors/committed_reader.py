"""Find out which offsets of a topic hold a committed record.

Offsets of aborted transactions, of the markers that end a transaction, and of records that compaction
removed hold none. Kafka does not list them, so the range is read.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from k2.connectors.kafka import client_settings, no_answer, watermarks
from k2.errors import UnavailableError

ANSWER_SECONDS = 15.0
_RECORDS_PER_POLL = 10_000


@dataclass(frozen=True)
class CommittedReader:
    """Reads topics of a Kafka cluster."""

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
        for message in self.messages(topic, partition, first, end):
            yield offset_of(message)

    def messages(self, topic: str, partition: int, first: int, end: int) -> Iterator[Message]:
        """Yield the committed records of a range, as :meth:`committed_offsets` does their offsets."""
        with closing(self._consumer()) as consumer:
            consumer.assign([TopicPartition(topic, partition, first)])
            while True:
                first_message = consumer.poll(ANSWER_SECONDS)
                if first_message is None:
                    raise no_answer(self.bootstrap, f"no records of {topic} from {first} on")
                # To ask for many with a timeout would wait for all of them.
                for message in (first_message, *consumer.consume(_RECORDS_PER_POLL, timeout=0)):
                    if _is_end(message, topic) or offset_of(message) >= end:
                        return
                    yield message

    def sizes(self, topic: str, partition: int, offsets: list[int]) -> list[int]:
        """Return the bytes of the first committed record at or after each offset, where there is one.

        Raises:
            UnavailableError: the broker does not answer, or no longer has one of the offsets.
        """
        found = []
        with closing(self._consumer({"fetch.message.max.bytes": 1_000})) as consumer:
            for offset in offsets:
                consumer.assign([TopicPartition(topic, partition, offset)])
                message = consumer.poll(ANSWER_SECONDS)
                if message is None:
                    raise no_answer(self.bootstrap, f"no record of {topic} at {offset}")
                if not _is_end(message, topic):
                    found.append(len(message.value() or b"") + len(message.key() or b""))
        return found

    def _consumer(self, more: Mapping[str, int] | None = None) -> Consumer:
        return Consumer(
            {
                **client_settings(self.bootstrap),
                "group.id": "k2-committed-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                **(more or {}),
            }
        )


def offset_of(message: Message) -> int:
    """Return a consumed record's offset."""
    offset = message.offset()
    if offset is None:
        raise UnavailableError("Kafka gave a record without an offset.")
    return offset


def _is_end(message: Message, topic: str) -> bool:
    """Tell whether this is the marker of the end of the committed records, and no record."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise UnavailableError(f"Topic {topic} cannot be read back: {error.str()}")

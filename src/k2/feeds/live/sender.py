"""The way to Kafka: an idempotent producer, and the spool for when the broker does not take records.

Nothing here waits: what Kafka does not take at once goes to disk, and from there, in order, when it
takes records again.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from k2.connectors.kafka import MAX_MESSAGE_BYTES, client_settings
from k2.feeds.live.spool import Dropped, FeedRecord, Spool

log = structlog.get_logger("k2.feeds")

MAX_QUEUED = 50_000  # records in the producer's memory
_STALLED_SECONDS = 2.0  # without one record delivered, while some wait
_POLL_EVERY = 256


class ProducerLike(Protocol):
    """What is used of confluent-kafka's producer."""

    def produce(self, topic: str, value: bytes, key: bytes | None, **options: Any) -> None:
        """Queue a record."""

    def poll(self, timeout: float) -> int:
        """Serve callbacks."""

    def flush(self, timeout: float) -> int:
        """Wait for what is queued; return how many are left."""

    def purge(self, in_queue: bool, in_flight: bool) -> None:
        """Give up what is queued; each is reported as failed."""

    def __len__(self) -> int:
        """Return how many records wait."""


def producer_settings(bootstrap: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a producer that repeats no record and gives none up."""
    return {
        **client_settings(bootstrap),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": MAX_QUEUED * 2,
        "queue.buffering.max.kbytes": 131_072,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "message.timeout.ms": 0,  # never: what is not delivered waits
        "delivery.report.only.error": True,
        **extra,
    }


@dataclass
class Sender:
    """Sends records in order. ``on_drop`` is told what a full spool lost.

    ``delivered`` counts the records that the broker has, ``queued`` those that it was ever given.
    """

    bootstrap: str
    spool: Spool
    on_drop: Callable[[Dropped], None] = lambda _dropped: None
    make: Callable[[dict[str, Any]], Any] = Producer
    clock: Callable[[], float] = time.monotonic
    queued: int = 0
    spooled: int = 0
    refused: int = 0
    _failed: list[FeedRecord] = field(default_factory=list)
    _delivered_before: int = 0
    _moved_at: float = 0.0
    _brokers_down: bool = False
    _since_poll: int = 0
    is_spooling: bool = False
    _draining_until: int | None = None

    def __post_init__(self) -> None:
        callbacks = {"on_delivery": self._on_delivery, "error_cb": self._on_error}
        self._producer: ProducerLike = self.make(producer_settings(self.bootstrap, callbacks))
        self._moved_at = self.clock()
        self.is_spooling = len(self.spool) > 0

    @property
    def delivered(self) -> int:
        """How many records the broker has."""
        return self.queued - len(self._producer) - len(self._failed)

    @property
    def waiting(self) -> int:
        """How many records the broker has not delivered yet, in memory and on disk."""
        return len(self._producer) + len(self._failed) + len(self.spool)

    @property
    def is_stalled(self) -> bool:
        """Whether the broker takes no records now."""
        return self._brokers_down or (
            len(self._producer) > 0 and self.clock() - self._moved_at > _STALLED_SECONDS
        )

    def send(self, record: FeedRecord) -> None:
        """Give a record to Kafka, or to the spool while there is something in it or Kafka is away."""
        if self.is_spooling or not self._produce(record):
            self.is_spooling = True
            self.spool.append(record)
            self.spooled += 1
        self._since_poll += 1
        if self._since_poll >= _POLL_EVERY:
            self._since_poll = 0
            self._producer.poll(0)

    def tick(self) -> None:
        """Serve callbacks, notice that the broker is away or back, and move what waits on disk.

        Called several times a second.
        """
        self._producer.poll(0)
        delivered = self.delivered
        if delivered != self._delivered_before or not len(self._producer):
            self._delivered_before, self._moved_at = delivered, self.clock()
            self._brokers_down = False
        if self.is_stalled and not self.is_spooling:
            self.is_spooling = True
            log.warning("kafka_away", waiting=self.waiting)
        while (dropped := self.spool.trim(time.time())) is not None:
            self._draining_until = None
            self.on_drop(dropped)
        self.spool.flush()
        if self.is_spooling and not self.is_stalled:
            self._drain()

    def close(self, seconds: float = 10.0) -> None:
        """Wait for what is queued; what Kafka does not take stays on disk for the next start."""
        with suppress(KafkaException):
            if self._producer.flush(seconds):
                self._producer.purge(in_queue=True, in_flight=True)
                self._producer.flush(1.0)
        self.spool.prepend(self._failed)
        self._failed = []
        self.spool.close()

    def _produce(self, record: FeedRecord) -> bool:
        if len(self._producer) >= MAX_QUEUED:
            return False
        try:
            self._producer.produce(record.topic, record.value, record.key, timestamp=record.time_ms)
        except BufferError:
            return False
        except KafkaException as error:  # larger than a message may be: it never can be sent
            self.refused += 1
            log.error("record_refused", topic=record.topic, reason=str(error)[:200])
            return True
        self.queued += 1
        return True

    def _drain(self) -> None:
        """Move segments to the producer; each leaves the disk when the broker has all of it."""
        if self._draining_until is not None:
            if self.delivered < self._draining_until:
                return
            self.spool.done()
            self._draining_until = None
        records = self.spool.oldest()
        if not records:
            self.is_spooling = False
            log.info("kafka_back", spooled=self.spooled)
            return
        if len(self._producer) + len(records) > MAX_QUEUED:
            return
        for record in records:
            self._produce(record)
        self._draining_until = self.queued

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        topic, value = message.topic(), message.value()
        if topic is None or value is None or self._draining_until is not None:
            return  # what came from the disk is still there
        _, time_ms = message.timestamp()
        self._failed.append(FeedRecord(topic, message.key(), value, time_ms))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._brokers_down = True

"""The way to Kafka: an idempotent producer, and the spool for when the broker does not take records.

Nothing here waits: what Kafka does not take at once goes to disk, and from there, in order, when it
takes records again.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from k2.feeds.live.feed_record import Dropped, FeedRecord, dropped_of
from k2.feeds.live.producer_settings import MAX_QUEUED, broker_seconds, producer_settings
from k2.feeds.live.spool import Spool

log = structlog.get_logger("k2.feeds")

_STALLED_SECONDS = 2.0  # without one record delivered, while some wait
_POLL_EVERY = 256
# What is wrong with a record itself: it is larger than a message may be, or malformed.
_NEVER = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
)


@dataclass
class Sender:
    """Sends records in order. ``on_drop`` is told what a full spool or disk lost.

    ``delivered`` counts the records that the broker has, ``queued`` those that it was ever given.
    ``broker_seconds`` is how long 99 of 100 records took to the broker's answer, of the last seconds.
    """

    bootstrap: str
    spool: Spool
    on_drop: Callable[[Dropped], None] = lambda _dropped: None
    make: Callable[[dict[str, Any]], Any] = Producer
    clock: Callable[[], float] = time.monotonic
    queued: int = 0
    spooled: int = 0
    refused: int = 0
    is_spooling: bool = False
    broker_seconds: float = 0.0
    _failed: list[FeedRecord] = field(default_factory=list)
    _delivered_before: int = 0
    _moved_at: float = 0.0
    _brokers_down: bool = False
    _is_broken: bool = False
    _since_poll: int = 0
    _draining_until: int | None = None
    _drain_failed: bool = False

    def __post_init__(self) -> None:
        self._producer = self._make_producer()
        self._moved_at = self.clock()
        self.is_spooling = len(self.spool) > 0

    @property
    def delivered(self) -> int:
        """How many records the broker has."""
        return int(self.queued - len(self._producer) - len(self._failed))

    @property
    def waiting(self) -> int:
        """How many records the broker has not delivered yet, in memory and on disk."""
        return int(len(self._producer) + len(self._failed) + len(self.spool))

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

    def take_over(self, other: Path, segments: int) -> int:
        """Move the oldest segments of an ended sender's spool to this one's; count their records."""
        moved = self.spool.take_over(other, segments)
        self.is_spooling = self.is_spooling or moved > 0
        return moved

    def tick(self) -> None:
        """Serve callbacks, notice that the broker is away or back, and move what waits on disk.

        Called several times a second.
        """
        self._producer.poll(0)
        if self._is_broken:
            self._renew()
        delivered = self.delivered
        if delivered != self._delivered_before or not len(self._producer):
            self._delivered_before, self._moved_at = delivered, self.clock()
            self._brokers_down = False
        if self._failed:
            self._put_back()
        if self.is_stalled and not self.is_spooling:
            self.is_spooling = True
            log.warning("kafka_away", waiting=self.waiting)
        self.spool.flush()
        self._tell_dropped()
        if self.is_spooling and not self.is_stalled:
            self._drain()

    def close(self, seconds: float = 10.0) -> None:
        """Wait for what is queued; what Kafka does not take stays on disk for the next start."""
        with suppress(KafkaException):
            if self._producer.flush(min(seconds, 1.0) if self.is_stalled else seconds):
                self._give_up()
        self._put_back()
        self.spool.flush()
        self._tell_dropped()
        self.spool.close()

    def _make_producer(self) -> Any:
        callbacks = {"error_cb": self._on_error, "stats_cb": self._on_statistics}
        return self.make(producer_settings(self.bootstrap, callbacks))

    def _produce(self, record: FeedRecord) -> bool:
        if len(self._producer) >= MAX_QUEUED or self._is_broken:
            return False
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                timestamp=record.time_ms,
                on_delivery=partial(self._on_delivery, record),
            )
        except BufferError:
            return False
        except KafkaException as error:
            return self._is_refused(error.args[0], record)
        self.queued += 1
        return True

    def _is_refused(self, error: KafkaError, record: FeedRecord) -> bool:
        """Tell whether Kafka will never take a record, and count it as refused then."""
        if error.code() not in _NEVER:
            self._is_broken = self._is_broken or error.code() == KafkaError._FATAL
            return False
        self.refused += 1
        log.error("record_refused", topic=record.topic, reason=error.str()[:200])
        return True

    def _drain(self) -> None:
        """Move segments to the producer; each leaves the disk when the broker has all of it."""
        if self._draining_until is not None:
            if self.delivered < self._draining_until:
                return
            if not self._drain_failed:
                self.spool.done()
            self._draining_until, self._drain_failed = None, False
        if len(self._producer):  # older than what is on disk
            return
        records = self.spool.oldest()
        if not records:
            self.is_spooling = False
            log.info("kafka_back", spooled=self.spooled)
            return
        self._draining_until = self.queued + len(records)
        for record in records:
            if not self._produce(record):
                self._drain_failed = True
        self._draining_until = self.queued

    def _renew(self) -> None:
        """Replace a producer that can send no more; what it did not deliver waits on disk."""
        log.error("producer_renewed", waiting=len(self._producer))
        self._give_up()
        self._draining_until, self._drain_failed = None, False
        self._is_broken = False
        self._put_back()
        self._producer = self._make_producer()

    def _give_up(self) -> None:
        with suppress(KafkaException):
            self._producer.purge(in_queue=True, in_flight=True)
            self._producer.flush(1.0)

    def _put_back(self) -> None:
        """Put what was not delivered before everything on disk."""
        failed, self._failed = self._failed, []
        self.queued -= len(failed)
        if not failed:
            return
        self.is_spooling = True
        try:
            self.spool.prepend(failed)
        except OSError:
            self.spool.unwritten += failed

    def _tell_dropped(self) -> None:
        while (dropped := self.spool.trim(time.time())) is not None:
            self._draining_until, self._drain_failed = None, False
            self.on_drop(dropped)
        if self.spool.unwritten:
            lost, self.spool.unwritten = self.spool.unwritten, []
            self.on_drop(dropped_of(lost))

    def _on_delivery(self, record: FeedRecord, error: KafkaError | None, _message: object) -> None:
        if error is None or self._is_refused(error, record):
            return
        if self._draining_until is not None:
            self._drain_failed = True  # what came from the disk is still there
        else:
            self._failed.append(record)

    def _on_statistics(self, text: str) -> None:
        self.broker_seconds = broker_seconds(text)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._brokers_down = True
        if error.fatal():
            self._is_broken = True

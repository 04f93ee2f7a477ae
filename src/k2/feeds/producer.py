"""An idempotent Kafka producer that never loses a failure."""

from time import monotonic
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaException, Producer

from k2.connectors.kafka import MAX_MESSAGE_BYTES, client_settings
from k2.errors import FailedError, UnavailableError

_POLL_EVERY = 512
_WAIT_SECONDS = 0.05


class FeedProducer:
    """Sends ready-made bytes in order per key; use it as a context to flush at the end.

    ``delivery_seconds`` is how long a record may wait for a broker that does not answer.
    """

    def __init__(self, bootstrap: str, *, delivery_seconds: float = 60.0) -> None:
        self._bootstrap = bootstrap
        self._delivery_seconds = delivery_seconds
        self._failed = 0
        self._first_failure = ""
        self._since_poll = 0
        self.sent = 0
        self._producer = Producer(
            {
                **client_settings(bootstrap),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 20,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # as Java producers partition
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": 65_536,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": int(delivery_seconds * 1000),
                # Only failures are worth a Python call per record.
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            }
        )

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, time_ms: int | None = None
    ) -> None:
        """Queue one record; waits while the queue is full.

        ``time_ms`` (since 1970) is its Kafka timestamp, if not the present.

        Raises:
            UnavailableError: the broker did not take earlier records in time.
            FailedError: the record itself cannot be sent.
        """
        timestamp = time_ms or 0  # to librdkafka 0 is now
        try:
            self._producer.produce(topic, value, key, timestamp=timestamp)
        except BufferError:
            self._send_when_there_is_room(topic, key, value, timestamp)
        except KafkaException as error:
            raise FailedError(f"Cannot send a record to {topic}: {error.args[0].str()}") from error
        self.sent += 1
        self._since_poll += 1
        if self._since_poll >= _POLL_EVERY:
            self._since_poll = 0
            self._producer.poll(0)
            self._raise_failure()

    def flush(self, seconds: float | None = None) -> None:
        """Wait until the broker has every record.

        Raises:
            UnavailableError: it has not taken all of them; the message says how many are missing.
        """
        limit = self._delivery_seconds + 1 if seconds is None else seconds
        remaining = self._producer.flush(limit)
        self._raise_failure()
        if remaining:
            raise UnavailableError(
                f"Kafka at {self._bootstrap} has not taken {remaining} records within"
                f" {limit:.0f} s; check that it runs (`k2 status`)."
            )

    def __enter__(self) -> "FeedProducer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.flush()
        elif not issubclass(kind, UnavailableError):
            self._producer.flush(5)

    def _send_when_there_is_room(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp: int
    ) -> None:
        deadline = monotonic() + self._delivery_seconds + 1
        while True:
            self._producer.poll(_WAIT_SECONDS)
            self._raise_failure()
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp)
                return
            except BufferError:
                if monotonic() > deadline:
                    raise UnavailableError(
                        f"Kafka at {self._bootstrap} takes no records for"
                        f" {self._delivery_seconds:.0f} s; check that it runs (`k2 status`)."
                    ) from None

    def _on_failure(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed += 1
            self._first_failure = self._first_failure or error.str()

    def _raise_failure(self) -> None:
        if self._failed:
            raise UnavailableError(
                f"Kafka at {self._bootstrap} did not take {self._failed} records"
                f" ({self._first_failure}); check that it runs (`k2 status`)."
            )

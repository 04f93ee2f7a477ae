"""Events into the Kafka topic ``k2.events``, keyed by what they are about."""

from typing import Any

from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from confluent_kafka import KafkaException, Producer

from k2.connectors.kafka import client_settings, ensure_topics
from k2.errors import UnavailableError
from k2.home.endpoints import find_endpoints
from k2.jobs.delivery.cloud_events import cloud_event
from k2.jobs.delivery.sink import SinkAbsentError, SinkRefusedError, SinkUnavailableError
from k2.jobs.outbox import Event
from k2.settings import Settings

TOPIC = "k2.events"
_SECONDS = 10.0


class KafkaSink:
    """Sends to the Kafka of the settings, or of `k2 up`."""

    name = "kafka"

    def __init__(self, settings: Settings) -> None:
        """Connect at the first event."""
        self._settings = settings
        self._producer: Producer | None = None
        self._address = ""

    def deliver(self, event: Event) -> None:
        """Send one event and wait until the broker has it."""
        producer = self._connected()
        message = to_binary(cloud_event(event), JSONFormat())
        failures: list[Any] = []
        try:
            producer.produce(
                TOPIC,
                message.value,
                event.subject.encode(),
                headers=list(message.headers.items()),
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
        except KafkaException as error:
            raise SinkRefusedError(f"Kafka refuses event {event.seq}: {error}") from error
        left = producer.flush(_SECONDS)
        if left or failures:
            self.close()
            why = failures[0].str() if failures else f"no answer within {_SECONDS:.0f} s"
            raise SinkUnavailableError(f"Kafka at {self._address} did not take an event: {why}.")

    def close(self) -> None:
        """Close the producer without waiting for unsent events."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _connected(self) -> Producer:
        try:
            address = find_endpoints(self._settings).kafka
        except UnavailableError as error:
            raise SinkAbsentError(str(error)) from error
        if self._producer is None or address != self._address:
            try:
                ensure_topics(address, [TOPIC], self._settings.topic_partitions)
            except UnavailableError as error:
                raise SinkUnavailableError(str(error)) from error
            self._address = address
            self._producer = Producer(
                {
                    **client_settings(address),
                    "enable.idempotence": True,
                    "acks": "all",
                    "linger.ms": 0,
                    "delivery.timeout.ms": int(_SECONDS * 1000),
                }
            )
        return self._producer

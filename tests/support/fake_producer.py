"""A stand-in for Kafka's producer, which a test can make take nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException


@dataclass
class FakeMessage:
    """What a delivery report gives."""

    _topic: str
    _key: bytes | None
    _value: bytes
    _time_ms: int
    report: Callable[[KafkaError | None, Any], None] = lambda _error, _message: None

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, self._time_ms


@dataclass
class FakeProducer:
    """Takes records at each poll while ``is_up``; ``records`` are those that it took."""

    settings: dict[str, Any]
    is_up: bool = True
    is_broken: bool = False
    records: list[FakeMessage] = field(default_factory=list)
    queue: list[FakeMessage] = field(default_factory=list)

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes | None,
        *,
        timestamp: int,
        on_delivery: Callable[[KafkaError | None, Any], None],
    ) -> None:
        if self.is_broken:
            raise KafkaException(KafkaError(KafkaError._FATAL))
        self.queue.append(FakeMessage(topic, key, value, timestamp, on_delivery))

    def poll(self, timeout: float) -> int:
        if self.is_up and not self.is_broken:
            self.records += self.queue
            self.queue.clear()
        return 0

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return len(self.queue)

    def purge(self, in_queue: bool, in_flight: bool) -> None:
        failed, self.queue = self.queue, []
        for message in failed:
            message.report(KafkaError(KafkaError._PURGE_QUEUE), message)

    def fail_brokers(self) -> None:
        """Tell that all brokers are down."""
        self.settings["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))

    def __len__(self) -> int:
        return len(self.queue)

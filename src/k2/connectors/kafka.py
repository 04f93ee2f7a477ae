"""Kafka's control side: reachability, topics and how far they reach."""

import atexit
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from k2.errors import UnavailableError

ANSWER_SECONDS = 5.0

# A rejected message is kept whole, and recordings have lines of megabytes.
MAX_MESSAGE_BYTES = 20 * 1024 * 1024


class ClientLog:
    """Takes librdkafka's own log lines, which it would print to stderr, as structured events."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("k2.kafka")

    def log(self, level: int, text: str, *args: Any) -> None:
        """Pass one line on; the broker's state is reported by errors, so these are details."""
        if structlog.is_configured():  # else structlog would print every reconnect attempt
            self._log.debug("kafka_client", level=level, message=text % args if args else text)


def client_settings(bootstrap: str) -> dict[str, Any]:
    """Return what every client of K2 has in common."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "k2",
        "logger": ClientLog(),
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 2_000,
    }


def no_answer(bootstrap: str, found: object) -> UnavailableError:
    """Return the error for a broker that does not answer."""
    return UnavailableError(
        f"Kafka at {bootstrap} does not answer ({found});"
        " check that it runs (`k2 status`), start it with `k2 up`, or set K2_KAFKA."
    )


def ensure_topics(
    bootstrap: str,
    topics: Iterable[str],
    partitions: int,
    *,
    replication: int = 1,
    config: Mapping[str, str] | None = None,
    timeout: float = ANSWER_SECONDS,
) -> list[str]:
    """Create those of ``topics`` that are missing; return their names. Existing ones stay as they are.

    Raises:
        UnavailableError: the broker does not answer within ``timeout`` seconds, or refuses.
    """
    admin = AdminClient(client_settings(bootstrap))
    existing = _topics(admin, bootstrap, timeout)
    missing = [topic for topic in topics if topic not in existing]
    if not missing:
        return []
    wanted = [
        NewTopic(topic, partitions, replication, config=dict(config or {})) for topic in missing
    ]
    created = []
    for topic, future in admin.create_topics(wanted, request_timeout=timeout).items():
        try:
            future.result(timeout * 2)
        except (KafkaException, TimeoutError) as error:
            if not _already_exists(error):
                raise UnavailableError(
                    f"Kafka at {bootstrap} did not create topic {topic}: {_text(error)}"
                ) from error
        else:
            created.append(topic)
    return created


def watermarks(
    bootstrap: str, topic: str, *, timeout: float = ANSWER_SECONDS
) -> dict[int, tuple[int, int]]:
    """Return for each partition the first offset there is and the end of what is committed.

    The end is the next record's offset, or the first of a transaction that is still open. A topic
    that does not exist has no partitions.

    Raises:
        UnavailableError: the broker does not answer within ``timeout`` seconds.
    """
    consumer = _asking(bootstrap)
    consumer.poll(0)  # hands its log lines on, which it would keep
    try:
        known = _topics(consumer, bootstrap, timeout).get(topic)
        partitions = sorted(known.partitions) if known else []
        return {
            partition: consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=timeout
            )
            for partition in partitions
        }
    except KafkaException as error:
        raise no_answer(bootstrap, _text(error)) from error


@cache
def _asking(bootstrap: str) -> Consumer:
    """A client that stays: to connect takes 0.1 s, and streams that wait ask every second."""
    consumer = Consumer(
        {
            **client_settings(bootstrap),
            "group.id": "k2-watermarks",
            "isolation.level": "read_committed",
        }
    )
    atexit.register(consumer.close)
    return consumer


def _topics(client: AdminClient | Consumer, bootstrap: str, timeout: float) -> dict[str, Any]:
    try:
        return dict(client.list_topics(timeout=timeout).topics)
    except KafkaException as error:
        raise no_answer(bootstrap, _text(error)) from error


def _already_exists(error: Exception) -> bool:
    return bool(error.args) and getattr(error.args[0], "code", lambda: None)() == (
        KafkaError.TOPIC_ALREADY_EXISTS
    )


def _text(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause) or type(error).__name__

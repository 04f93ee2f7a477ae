"""Kafka's admin interface: whether it answers, its topics, and their offsets."""

import atexit
import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import structlog
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from k2.errors import UnavailableError
from k2.home.login import Address, client_options

ANSWER_SECONDS = 5.0

# A rejected message is kept whole, and recordings have lines of megabytes.
MAX_MESSAGE_BYTES = 20 * 1024 * 1024


# What librdkafka logs of a login or a certificate that is refused: its errors say only "no answer".
_REFUSED = re.compile(
    r"SASL authentication error: [^(]*|SSL handshake failed: [^(]*|certificate verify failed[^(]*"
    r"|Failed to retrieve OIDC token[^\n]{,200}"
)
_REFUSALS: dict["Login", str] = {}  # the last of each

# What a broker answers for a partition whose leader is not known to all yet.
_WITHOUT_LEADER = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
_LEADER_PAUSE_SECONDS = 0.1

_MAX_EVENTS = 20  # that are looked at for the cause of a failure

Login = tuple[str, tuple[tuple[str, str], ...]]  # an address, and the options that go with it


class ClientLog:
    """Takes librdkafka's own log lines, which it would print to stderr, as structured events."""

    def __init__(self, bootstrap: str) -> None:
        self._log = structlog.get_logger("k2.kafka")
        self._login = _login(bootstrap)

    def log(self, level: int, text: str, *args: Any) -> None:
        """Log one line; errors report the broker's state, so these lines are details."""
        if refused := _REFUSED.search(text % args if args else text):
            _REFUSALS[self._login] = refused[0]
        if structlog.is_configured():  # else structlog would print every reconnect attempt
            self._log.debug("kafka_client", level=level, message=text % args if args else text)


def client_settings(bootstrap: str) -> dict[str, Any]:
    """Return the settings that all Kafka clients of K2 share."""
    return {
        **client_options(bootstrap),
        "bootstrap.servers": str(bootstrap),
        "client.id": "k2",
        "logger": ClientLog(bootstrap),
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 2_000,
    }


def no_answer(bootstrap: str, found: object) -> UnavailableError:
    """Return the error for a broker that does not answer, or refuses the login."""
    if refusal := _REFUSALS.pop(_login(bootstrap), None):
        return UnavailableError(
            f"Kafka at {bootstrap} does not let K2 in ({refusal.strip()}); check K2_KAFKA_SECURITY,"
            " K2_KAFKA_SASL_MECHANISM, K2_KAFKA_USERNAME, its password, K2_KAFKA_CA_FILE, and for OAuth"
            " K2_KAFKA_LIBRDKAFKA_PROPERTIES."
        )
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
            partition: _watermarks_of(consumer, TopicPartition(topic, partition), timeout)
            for partition in partitions
        }
    except KafkaException as error:
        raise no_answer(bootstrap, _text(error)) from error


def _watermarks_of(
    consumer: Consumer, partition: TopicPartition, timeout: float
) -> tuple[int, int]:
    """Ask until the partition has a leader: a partition that is new or moves has none for a moment."""
    deadline = time.monotonic() + timeout
    while True:
        left = max(deadline - time.monotonic(), _LEADER_PAUSE_SECONDS)
        try:
            return consumer.get_watermark_offsets(partition, timeout=left)
        except KafkaException as error:
            if _code_of(error) not in _WITHOUT_LEADER or time.monotonic() >= deadline:
                raise
        time.sleep(_LEADER_PAUSE_SECONDS)


def topic_id(bootstrap: str, topic: str, *, timeout: float = ANSWER_SECONDS) -> str | None:
    """Return the id that Kafka gave a topic when it was made; None where there is no such topic.

    Raises:
        UnavailableError: the broker does not answer within ``timeout`` seconds.
    """
    # Kept by name: two threads may each make one, of which the cache keeps only the second, and the
    # question of a client that is deleted ends with it.
    admin = _admin(_login(bootstrap))
    answer = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout)
    try:
        id_ = answer[topic].result(timeout * 2).topic_id
    except (KafkaException, TimeoutError) as error:
        if _code_of(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise no_answer(bootstrap, _text(error)) from error
    return str(id_) if id_ is not None else None


def _login(bootstrap: str) -> Login:
    return str(bootstrap), tuple(sorted(client_options(bootstrap).items()))


@cache
def _admin(login: Login) -> AdminClient:
    return AdminClient(client_settings(Address(login[0], dict(login[1]))))


def _asking(bootstrap: str) -> Consumer:
    return _kept_consumer(_login(bootstrap))


@cache
def _kept_consumer(login: Login) -> Consumer:
    """A client that stays connected: connecting takes 0.1 s, and waiting streams ask every second."""
    consumer = Consumer(
        {
            **client_settings(Address(login[0], dict(login[1]))),
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
        for _ in range(_MAX_EVENTS):
            client.poll(0)  # hands a log line on, or an error before it: they may say why
        raise no_answer(bootstrap, _text(error)) from error


def _already_exists(error: Exception) -> bool:
    return _code_of(error) == KafkaError.TOPIC_ALREADY_EXISTS


def _code_of(error: Exception) -> int | None:
    return getattr(error.args[0], "code", lambda: None)() if error.args else None


def _text(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause) or type(error).__name__

"""A client that asks Kafka is kept, and keeps nothing itself."""

import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from k2.connectors import kafka
from k2.connectors.kafka import ClientLog, watermarks
from k2.errors import UnavailableError
from k2.home.login import kafka_address
from k2.home.ports import free_port
from k2.settings import Settings
from tests.support.secure_kafka import oauth_files
from tests.support.token_endpoint import TokenEndpoint

pytestmark = pytest.mark.unit


@pytest.fixture
def nobody() -> str:
    """An address at which nothing listens."""
    return f"127.0.0.1:{free_port()}"


def test_a_broker_that_is_not_there_is_named_each_time(nobody: str) -> None:
    for _ in range(2):
        with pytest.raises(UnavailableError, match=nobody):
            watermarks(nobody, "market.trades", timeout=0.3)


def test_log_lines_of_a_kept_client_do_not_gather_in_it(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(ClientLog, "log", lambda _, level, text, *args: lines.append(text))
    for _ in range(3):
        with pytest.raises(UnavailableError):
            watermarks(nobody, "market.trades", timeout=0.3)

    told = len(lines)
    kafka._asking(nobody).poll(0)

    assert told > 0
    assert len(lines) - told < told  # what came since the last question


class NewTopic:
    """A client of a broker at which a topic has no leader for the first questions."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)

    def poll(self, _timeout: float) -> None:
        pass

    def list_topics(self, timeout: float) -> SimpleNamespace:
        partitions = {0: SimpleNamespace()}
        return SimpleNamespace(topics={"trades": SimpleNamespace(partitions=partitions)})

    def get_watermark_offsets(self, _partition: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.answers:
            raise KafkaException(KafkaError(self.answers.pop(0)))
        return 0, 7


def test_a_partition_that_has_no_leader_for_a_moment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = NewTopic(
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
    monkeypatch.setattr(kafka, "_asking", lambda _bootstrap: client)

    assert watermarks("broker:9092", "trades") == {0: (0, 7)}


@pytest.mark.parametrize(
    ("code", "asked"),
    [(KafkaError.NOT_LEADER_FOR_PARTITION, 2), (KafkaError.TOPIC_AUTHORIZATION_FAILED, 1)],
)
def test_a_partition_that_stays_without_leader_or_is_refused_is_an_error(
    monkeypatch: pytest.MonkeyPatch, code: int, asked: int
) -> None:
    client = NewTopic(*[code] * 99)
    monkeypatch.setattr(kafka, "_asking", lambda _bootstrap: client)

    with pytest.raises(UnavailableError):
        watermarks("broker:9092", "trades", timeout=0.15)

    assert 99 - len(client.answers) >= asked
    assert asked > 1 or len(client.answers) == 98


@pytest.mark.parametrize(("secret", "why"), [("another", "invalid_client"), ("", "Could not")])
def test_a_token_endpoint_that_gives_no_token_is_named(
    tmp_path: Path, secret: str, why: str
) -> None:
    with TokenEndpoint(tmp_path) as tokens:
        url = tokens.url if secret else "http://127.0.0.1:9"
        files = oauth_files(tmp_path, url, secret or "a secret")
        login = {"kafka": f"127.0.0.1:{free_port()}", "kafka_security": "SASL_SSL", **files}
        address = kafka_address(Settings.load(home=tmp_path / "home", **login))

        with pytest.raises(UnavailableError, match=why) as refused:
            watermarks(address, "any", timeout=2.0)

    said = str(refused.value)
    assert f"{url}/token" in said
    assert "another" not in said
    assert len(said.splitlines()) == 1


def test_a_client_lives_until_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        def __init__(self, admin: "Admin") -> None:
            self.admin = weakref.ref(admin)

        def result(self, _timeout: float) -> SimpleNamespace:
            assert self.admin() is not None
            return SimpleNamespace(topic_id="an id")

    class Admin:
        def describe_topics(self, *_: object, **__: object) -> dict[str, Answer]:
            return {"trades": Answer(self)}

    # As when two threads make the first client at once, and the cache keeps the other one's.
    monkeypatch.setattr(kafka, "_admin", lambda _: Admin())

    assert kafka.topic_id("nobody:9092", "trades") == "an id"

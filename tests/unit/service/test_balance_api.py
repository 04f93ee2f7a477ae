"""The proof over HTTP: by Kafka where it runs, by the tables alone where it does not."""

from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from starlette.testclient import TestClient

from k2.exchanges import EXCHANGES
from k2.exchanges.kraken import KRAKEN
from k2.settings import Settings
from tests.support.balanced_lake import build
from tests.support.mock_kafka import mock_kafka

pytestmark = pytest.mark.unit


@pytest.fixture
def client_at(
    client_of: Callable[..., TestClient], settings: Settings
) -> Callable[[str], TestClient]:
    """Make a client of a home whose tables balance, beside a Kafka."""
    build(settings.lake)

    def make(kafka: str) -> TestClient:
        client = client_of()
        at = settings.model_copy(update={"kafka": kafka, "registry": "http://127.0.0.1:9"})
        client.app.state.settings = at if kafka else settings  # type: ignore[attr-defined]
        return client

    return make


def of_kraken(answer: dict[str, object]) -> dict[str, object]:
    exchanges: list[dict[str, object]] = answer["exchanges"]  # type: ignore[assignment]
    return {one["exchange"]: one for one in exchanges}["kraken"]  # type: ignore[return-value]


def test_without_kafka_the_tables_are_the_proof(client_at: Callable[[str], TestClient]) -> None:
    answer = client_at("").get("/v1/balance").json()

    assert (answer["balanced"], answer["kafka_asked"]) == (True, False)
    assert (of_kraken(answer)["kafka"], of_kraken(answer)["bronze"]) == (None, 5)


def test_a_kafka_that_runs_is_asked_how_many_records_it_has(
    client_at: Callable[[str], TestClient],
) -> None:
    with mock_kafka(*(exchange.topic for exchange in EXCHANGES)) as kafka:
        producer = Producer({"bootstrap.servers": kafka.address, "log_level": 0})
        for number in range(7):
            producer.produce(KRAKEN.topic, b"%d" % number, partition=0)
        producer.flush(10)
        answer = client_at(kafka.address).get("/v1/balance")

    found = answer.json()
    assert (answer.status_code, found["kafka_asked"]) == (200, True)
    assert of_kraken(found)["kafka"] == 7


def test_a_kafka_that_is_known_and_away_is_said(client_at: Callable[[str], TestClient]) -> None:
    answer = client_at("127.0.0.1:9").get("/v1/balance")

    assert answer.status_code == 503
    assert "Kafka at 127.0.0.1:9 does not answer" in answer.json()["error"]

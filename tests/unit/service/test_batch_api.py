"""Messages sent over HTTP end in Kafka, by a job that is the same one when the client asks again."""

import json
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from k2.exchanges.binance import BINANCE
from k2.feeds.live.journal import EVENTS_TOPIC
from k2.jobs.engine import EngineOptions, JobEngine
from k2.jobs.kinds import KINDS
from k2.jobs.model import JobState
from k2.service.app import make_app
from k2.settings import Settings
from tests.support.fake_registry import fake_registry
from tests.support.jobs import QUICK, wait_for_state
from tests.support.mock_kafka import MockKafka, mock_kafka

pytestmark = pytest.mark.unit

TRADE = {
    **{"e": "trade", "E": 1735689600123, "s": "BTCUSDT", "p": "93500.10"},
    **{"q": "0.00120", "T": 1735689600120, "m": False, "M": True},
}
LINES = b"\n".join(json.dumps(TRADE | {"t": number}).encode() for number in range(5)) + b"\nodd\n"


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka(BINANCE.topic, BINANCE.rejected_topic, EVENTS_TOPIC) as running:
        yield running


@pytest.fixture
def engine(settings: Settings, kafka: MockKafka) -> Iterator[JobEngine]:
    with fake_registry() as registry:
        registry.takes_any = True
        local = settings.model_copy(update={"kafka": kafka.address, "registry": registry.url})
        options = EngineOptions(poll_seconds=0.05, policy=QUICK)
        with JobEngine(local, KINDS, options) as running:
            yield running


@pytest.fixture
def client(engine: JobEngine) -> TestClient:
    return TestClient(make_app(engine.settings, engine.registry, CollectorRegistry()))


def test_messages_a_line_each_are_taken_and_sent_by_a_job(
    client: TestClient, engine: JobEngine, kafka: MockKafka
) -> None:
    answer = client.post(
        "/v1/records/binance/batch", content=LINES, headers={"X-Request-ID": "r-9"}
    )
    job_id = answer.json()["id"]
    done = wait_for_state(engine.registry, job_id, JobState.COMPLETED)

    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/jobs/{job_id}")
    assert (done.kind, done.request_id, done.rows_done) == ("replay", "r-9", 6)
    assert len(kafka.records(BINANCE.topic)) == 5
    assert [message.value() for message in kafka.records(BINANCE.rejected_topic)] == [b"odd"]


def test_the_same_batch_under_the_same_key_is_the_same_job_and_one_file(
    client: TestClient, engine: JobEngine
) -> None:
    path, key = "/v1/records/binance/batch", {"Idempotency-Key": "nightly"}

    first, second = (client.post(path, content=LINES, headers=key).json() for _ in range(2))
    other = client.post(path, content=LINES * 2, headers=key)

    uploads = sorted((engine.settings.home / "uploads").iterdir())
    assert first["id"] == second["id"]
    assert other.status_code == 409
    assert "other parameters" in other.json()["error"]
    assert [file.read_bytes() for file in uploads if file.read_bytes() == LINES] == [LINES]
    assert {file.suffix for file in uploads} == {".ndjson"}


def test_uploads_are_their_owners_alone(client: TestClient, engine: JobEngine) -> None:
    client.post("/v1/records/binance/batch", content=LINES)

    assert (engine.settings.home / "uploads").stat().st_mode & 0o077 == 0

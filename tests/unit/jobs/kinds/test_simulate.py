"""Simulated trades by a job: as many as were asked for, each under an id of its own, whatever ends it meanwhile."""

import json
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader

from k2.errors import ConfigError
from k2.exchanges import EXCHANGES
from k2.exchanges.binance import BINANCE
from k2.home.locks import exclusive
from k2.jobs.kinds import KINDS
from k2.jobs.kinds import simulate as kind
from k2.jobs.model import Job, JobState
from k2.settings import Settings
from tests.support.failing_producer import FailingProducer
from tests.support.fake_registry import FakeRegistry, fake_registry
from tests.support.home import wait_until
from tests.support.jobs import engine_of, run_to_end, wait_for
from tests.support.mock_kafka import MockKafka, mock_kafka

pytestmark = pytest.mark.unit

TOPICS = [topic for each in EXCHANGES for topic in (each.topic, each.rejected_topic)]
RAW = [each.topic for each in EXCHANGES]
PLAIN = {"duplicates": 0, "late": 0, "bad": 0}


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka(*TOPICS) as running:
        yield running


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        running.takes_any = True
        yield running


@pytest.fixture
def local(settings: Settings, kafka: MockKafka, registry: FakeRegistry) -> Settings:
    return settings.model_copy(update={"kafka": kafka.address, "registry": registry.url})


def simulated(settings: Settings, **params: Any) -> Job:
    """Run a job to its end."""
    with engine_of(settings, KINDS) as engine:
        return run_to_end(engine, "simulate", {"rate": 50_000, **params})


def trades(kafka: MockKafka, registry: FakeRegistry) -> list[tuple[str, int, str]]:
    """Market, number and price of Binance's trades."""
    schemas = {id_: parse_schema(json.loads(text)) for text, id_ in registry.registered.items()}
    found = []
    for message in kafka.records(BINANCE.topic):
        schema = schemas[int.from_bytes(message.value()[1:5], "big")]
        trade: Any = schemaless_reader(BytesIO(message.value()[5:]), schema, None)
        found.append((trade["symbol"], trade["trade_id"], trade["price"]))
    return found


def test_as_many_records_are_sent_as_were_asked_for_and_each_exchange_is_told_apart(
    local: Settings, kafka: MockKafka
) -> None:
    job = simulated(local, records=700)

    topics = Counter(message.topic() for message in kafka.records(*RAW))
    there = {each.name: topics[each.topic] for each in EXCHANGES}
    assert (job.rows_done, job.rows_total, sum(there.values())) == (700, 700, 700)
    assert job.result == {"records": there}


def test_steps_and_further_jobs_go_on_with_the_ids_of_those_before(
    local: Settings,
    kafka: MockKafka,
    registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kind, "_STEP_SECONDS", 0.002)  # 100 records

    job = simulated(local, records=250, **PLAIN)
    simulated(local, records=100, **PLAIN)

    numbers = [trade[:2] for trade in trades(kafka, registry)]
    assert job.steps_done == 3
    assert len(numbers) > 200
    assert len(set(numbers)) == len(numbers)


def test_the_same_seed_on_a_new_home_gives_the_same_trades(
    local: Settings, kafka: MockKafka, registry: FakeRegistry, tmp_path: Path
) -> None:
    simulated(local, records=100, seed=3, **PLAIN)

    with mock_kafka(*TOPICS) as other:
        anew = local.model_copy(update={"home": tmp_path / "new", "kafka": other.address})
        simulated(anew, records=100, seed=3, **PLAIN)

        assert sorted(trades(other, registry)) == sorted(trades(kafka, registry))


def test_a_service_that_ends_leaves_a_job_which_sends_the_rest_at_the_next_start(
    local: Settings, kafka: MockKafka
) -> None:
    params = {"records": 100, "rate": 40, **PLAIN}
    with engine_of(local, KINDS) as engine:
        job = engine.registry.submit("simulate", params).job
        wait_until(lambda: kafka.records(*RAW), 30)

    with engine_of(local, KINDS) as again:
        before = again.registry.job(job.id)
        done = wait_for(again.registry, job.id, lambda found: found.state.is_ended)

    assert before.rows_done < 100
    assert (done.state, done.rows_done) == (JobState.COMPLETED, 100)
    assert len(kafka.records(*RAW)) == 100


def test_what_kafka_did_not_take_is_made_up_for_by_other_records(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = FailingProducer(failures=1)
    monkeypatch.setattr("k2.feeds.producer.FeedProducer", lambda _kafka: broker)

    with engine_of(local, KINDS) as engine:
        job = engine.registry.submit("simulate", {"records": 50, "rate": 50_000, **PLAIN}).job
        done = wait_for(engine.registry, job.id, lambda found: found.state.is_ended)
        (step,) = engine.registry.steps(job.id)

    assert (done.state, done.rows_done, step.attempts) == (JobState.COMPLETED, 50, 2)
    assert len(set(broker.records)) == len(broker.records) == 100


def test_without_kafka_the_job_says_how_to_start_it(settings: Settings) -> None:
    job = simulated(settings, records=10)

    assert job.error is not None
    assert (job.error["class"], job.error["attempts"]) == ("UnavailableError", 3)
    assert "start it with `k2 up`, or set K2_KAFKA" in job.error["message"]


def test_two_simulations_of_one_home_do_not_run_beside_each_other(local: Settings) -> None:
    with exclusive(local.run / "locks", ["simulator"], "k2 simulate"):
        job = simulated(local, records=10)

    assert job.error is not None
    assert "simulator is in use by k2 simulate" in job.error["message"]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "needs the parameter records"),
        ({"records": 0}, "greater than or equal to 1"),
        ({"records": 1, "rate": 0}, "rate=0: Input should be greater than 0"),
        ({"records": 1, "bad": 1.5}, "less than or equal to 1"),
        ({"records": 1, "rates": 5}, r"no parameter 'rates' \(did you mean rate"),
    ],
)
def test_a_wrong_parameter_is_refused(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        KINDS.named("simulate").validated(params)

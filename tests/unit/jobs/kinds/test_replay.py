"""Recordings sent by a job: each message once, in steps that progress is told of."""

import json
from pathlib import Path

import pytest

from k2.avro.schema_files import schema_text
from k2.errors import ConfigError
from k2.exchanges.binance import BINANCE
from k2.feeds.live.journal import EVENTS_TOPIC
from k2.jobs.kinds import KINDS
from k2.jobs.kinds import replay as kind
from k2.jobs.model import JobState
from k2.jobs.outbox import events_about
from k2.settings import Settings
from tests.support.failing_producer import FailingProducer
from tests.support.fake_registry import fake_registry
from tests.support.jobs import engine_of, wait_for_state
from tests.support.mock_kafka import mock_kafka


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    lines = [trade(number) for number in range(98)]
    file = tmp_path / "binance.jsonl"
    file.write_text("\n".join([*lines, '{"result":null,"id":1}', "nonsense"]) + "\n")
    return file


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FailingProducer:
    found = FailingProducer()
    monkeypatch.setattr(
        kind, "prepare_encoder", lambda _run, _exchange: lambda trade: b"%d" % trade["trade_id"]
    )
    monkeypatch.setattr("k2.feeds.producer.FeedProducer", lambda _kafka: found)
    return found


def trade(number: int) -> str:
    return json.dumps(
        {
            **{"e": "trade", "E": 1735689600123, "s": "BTCUSDT", "t": number, "p": "9.5"},
            **{"q": "1", "T": 1735689600120, "m": False, "M": True},
        }
    )


@pytest.fixture
def local(settings: Settings) -> Settings:
    return settings.model_copy(update={"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:9"})


@pytest.mark.parametrize("failures", [0, 1])
def test_each_message_is_sent_and_counted_and_every_tenth_tells_of_it(
    local: Settings, recording: Path, broker: FailingProducer, failures: int
) -> None:
    broker.failures = failures
    params = {"files": [str(recording)], "exchange": "binance", "progress_interval": 10}
    with engine_of(local, KINDS) as engine:
        job = engine.registry.submit("replay", params).job
        done = wait_for_state(engine.registry, job.id, JobState.COMPLETED)
        with engine.database.reading() as connection:
            events = [event.type for event in events_about(connection, job.id)]

    assert done.result is not None
    (counts,) = done.result["files"]
    assert (counts["lines"], counts["trades"], counts["other"], counts["rejected"]) == (
        *(100, 98, 1, 1),
    )
    assert len(broker.records) == 99 + 10 * failures
    assert len(set(broker.records)) == 99
    assert events.count("io.k2.job.progress") == 10
    # Without the wait in the queue: one start, ten steps, one end.
    assert len(events) - 1 == 12


def test_a_kafka_and_a_registry_that_never_had_a_feed_get_what_a_recording_needs(
    settings: Settings, recording: Path
) -> None:
    topics = (BINANCE.topic, BINANCE.rejected_topic, EVENTS_TOPIC)
    with mock_kafka(*topics) as kafka, fake_registry() as registry:
        registry.takes_any = True
        local = settings.model_copy(update={"kafka": kafka.address, "registry": registry.url})
        params = {"files": [str(recording)], "exchange": "binance"}
        with engine_of(local, KINDS) as engine:
            job = engine.registry.submit("replay", params).job
            wait_for_state(engine.registry, job.id, JobState.COMPLETED)

        sent = kafka.records(BINANCE.topic)
        rejected = kafka.records(BINANCE.rejected_topic)

    schema_id = registry.registered[schema_text(BINANCE.reader_schema)]
    assert {message.value()[:5] for message in sent} == {b"\0" + schema_id.to_bytes(4, "big")}
    assert (len(sent), [message.value() for message in rejected]) == (98, [b"nonsense"])


def test_a_market_that_the_exchange_has_not_is_refused_with_those_it_has(recording: Path) -> None:
    params = {"files": [str(recording)], "exchange": "binance", "market": "options"}

    with pytest.raises(ConfigError, match=r"Binance has no market 'options'\. It has: spot, usdm"):
        KINDS.named("replay").validated(params)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"files": ["/nowhere"], "exchange": "binance"}, "No recording at /nowhere"),
        ({"files": [], "exchange": "binance"}, "at least 1 item"),
        ({"files": ["a\0b"], "exchange": "binance"}, "zero byte"),
        ({"files": ["/etc"], "exchange": "binance"}, "is a directory"),
        ({"files": ["/etc/hosts"], "exchange": "binnance"}, "binnance"),
        ({"files": ["/etc/hosts"]}, "needs the parameter exchange"),
    ],
)
def test_what_cannot_be_sent_is_said_when_it_is_submitted(
    params: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        KINDS.named("replay").validated(params)


@pytest.mark.parametrize(
    ("size", "wanted"), [(10, [0, 2]), (33, [0, 1, 3]), (100, [0]), (500, [0])]
)
def test_pieces_of_a_recording_are_the_same_whichever_were_read_before(
    recording: Path, size: int, wanted: list[int]
) -> None:
    lines = [line.encode() for line in recording.read_text().splitlines()]
    pieces = kind._Chunks(recording, size)

    for number in wanted:
        found, more = pieces.take(number)

        assert [line.message for line in found] == lines[number * size : (number + 1) * size]
        assert more == ((number + 1) * size < len(lines))
        assert pieces.take(number) == (found, more)


@pytest.mark.parametrize("interval", [2, 100], ids=["between two steps", "within a step"])
def test_numbers_that_a_recording_skips_are_noted_for_coverage(
    local: Settings, tmp_path: Path, broker: FailingProducer, interval: int
) -> None:
    file = tmp_path / "holey.jsonl"
    file.write_text("\n".join(map(trade, (1, 2, 6, 7))) + "\n")
    params = {"files": [str(file)], "exchange": "binance", "progress_interval": interval}
    with engine_of(local, KINDS) as engine:
        job = engine.registry.submit("replay", params).job
        wait_for_state(engine.registry, job.id, JobState.COMPLETED)

    (event,) = [json.loads(record) for record in broker.records if record.startswith(b"{")]
    assert (event["event"], event["service"]) == ("archive_gap", "binance-spot")
    assert (event["markets"], event["first"], event["last"]) == (["BTCUSDT"], 3, 5)
    assert event["reason"] == "holey.jsonl"

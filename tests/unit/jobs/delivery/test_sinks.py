"""Kafka, Redis, webhooks and sinks of other packages: what each gets, and what happens where it is away or refuses."""

import functools
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from k2.connectors.kafka import ensure_topics
from k2.errors import ConfigError
from k2.jobs.delivery import kafka as kafka_sink
from k2.jobs.delivery import webhook
from k2.jobs.delivery.kafka import TOPIC, KafkaSink
from k2.jobs.delivery.redis_streams import STREAM, RedisSink
from k2.jobs.delivery.sink import SinkAbsentError, SinkRefusedError, SinkUnavailableError
from k2.jobs.delivery.sinks import sinks_of
from k2.jobs.delivery.webhook import WebhookSink
from k2.jobs.outbox import Event
from k2.settings import Settings
from tests.support.mock_kafka import MockKafka, mock_kafka

pytestmark = pytest.mark.unit


def event(seq: int = 1, **data: Any) -> Event:
    return Event(seq, "jobs/count", "io.k2.job.progress", "count-1", data, 1_735_689_600_000)


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka(TOPIC) as running:
        yield running


@contextmanager
def impatient() -> Iterator[None]:
    """Wait for a Kafka that is away no longer than a test can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_sink, "_SECONDS", 0.3)
        patch.setattr(kafka_sink, "ensure_topics", functools.partial(ensure_topics, timeout=0.3))
        yield


def sink_of(settings: Settings, kafka: MockKafka) -> KafkaSink:
    return KafkaSink(settings.model_copy(update={"kafka": kafka.address, "registry": "http://x"}))


def note_endpoints(settings: Settings, kafka: MockKafka) -> None:
    """Write what `k2 up` notes of its Kafka."""
    settings.run.mkdir(parents=True, exist_ok=True)
    noted = {"kafka": kafka.address, "registry": "http://127.0.0.1:9"}
    (settings.run / "endpoints.json").write_text(json.dumps(noted))


def test_kafka_gets_events_in_order_keyed_by_what_they_are_about(
    settings: Settings, kafka: MockKafka
) -> None:
    sink = sink_of(settings, kafka)
    for number in range(3):
        sink.deliver(event(number + 1, number=number, request_id="r-1" if number else ""))
    sink.close()

    found = kafka.records(TOPIC)
    headers = [dict(message.headers()) for message in found]
    assert [json.loads(message.value())["number"] for message in found] == [0, 1, 2]
    assert {message.key() for message in found} == {b"count-1"}
    assert [header["ce_id"] for header in headers] == [b"1", b"2", b"3"]
    assert headers[0]["ce_type"] == b"io.k2.job.progress"
    assert headers[0]["ce_source"] == b"/k2/jobs/count"
    # Without a request there is none to name.
    assert [header.get("ce_correlationid") for header in headers] == [None, b"r-1", b"r-1"]


def test_before_a_kafka_was_started_no_attempt_counts(settings: Settings) -> None:
    with pytest.raises(SinkAbsentError, match="start it with `k2 up`"):
        KafkaSink(settings).deliver(event())


def test_a_kafka_that_goes_is_tried_again_and_the_one_that_comes_gets_the_event(
    settings: Settings, kafka: MockKafka
) -> None:
    note_endpoints(settings, kafka)
    sink = KafkaSink(settings)
    sink.deliver(event(1))
    kafka.stop()

    with impatient():
        with pytest.raises(SinkUnavailableError, match="did not take an event: no answer within"):
            sink.deliver(event(2))
        with pytest.raises(SinkUnavailableError, match="does not answer"):
            sink.deliver(event(2))

    with mock_kafka(TOPIC) as other:
        note_endpoints(settings, other)
        sink.deliver(event(2))
        assert [dict(message.headers())["ce_id"] for message in other.records(TOPIC)] == [b"2"]
    sink.close()


def test_an_event_that_kafka_never_takes_is_refused_and_the_next_ones_are_delivered(
    settings: Settings, kafka: MockKafka
) -> None:
    sink = sink_of(settings, kafka)

    with pytest.raises(SinkRefusedError, match="Kafka refuses event 1: "):
        sink.deliver(event(1, much="x" * 2_000_000))
    sink.deliver(event(2))
    sink.close()

    assert len(kafka.records(TOPIC)) == 1


def test_a_redis_that_is_away_is_tried_again_and_its_password_not_told() -> None:
    sink = RedisSink("redis://:hunter2@127.0.0.1:9/0")

    with pytest.raises(SinkUnavailableError, match="Redis does not answer: ") as caught:
        sink.deliver(event())
    sink.close()

    assert "hunter2" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_redis_in_which_the_stream_is_something_else_refuses(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as other:
        other.set(STREAM, "no stream")
    sink = RedisSink(redis_url)

    with pytest.raises(SinkRefusedError, match=r"Redis refuses the event: .*wrong kind"):
        sink.deliver(event())
    sink.close()


def test_redis_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(ConfigError, match=r"pip install 'k2\[redis\]'"):
        sinks_of(Settings.load(events_redis="redis://127.0.0.1/0"))


def test_a_webhook_whose_answer_drips_without_an_end_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "_ANSWER_SECONDS", 0.2)
    is_over = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            while not is_over.wait(0.05):
                self.wfile.write(b".")
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    sink = WebhookSink(f"http://127.0.0.1:{server.server_port}/hook")
    began = time.monotonic()
    try:
        with pytest.raises(SinkUnavailableError, match="did not answer within"):
            sink.deliver(event())
    finally:
        is_over.set()
        sink.close()
        server.shutdown()
        thread.join()
        server.server_close()

    assert time.monotonic() - began < 5


def install(folder: Path, code: str) -> None:
    """Put a package there that adds a sink, as an installed one does."""
    about = folder / "extra-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[k2.event_sinks]\nmine = extra_of_a_test:make\n")
    (folder / "extra_of_a_test.py").write_text(code)


SINK = """
class Sink:
    def __init__(self, name):
        self.name = name

def make(settings):
    return {}
"""


@pytest.mark.parametrize(
    ("made", "names"),
    [("Sink('mine')", ["webhook:a/b", "mine"]), ("None", ["webhook:a/b"])],
)
def test_an_installed_package_adds_its_sink_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, names: list[str]
) -> None:
    install(tmp_path, SINK.format(made))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "extra_of_a_test", raising=False)

    found = sinks_of(Settings.load(events_kafka=False, events_webhooks="http://a/b"))

    assert [sink.name for sink in found] == names


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("1 / 0", r"sink mine \(extra_of_a_test:make\) cannot be made: ZeroDivisionError"),
        ("Sink('webhook:a/b')", "Two event sinks are named webhook:a/b"),
    ],
)
def test_a_packages_sink_that_cannot_be_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, sentence: str
) -> None:
    install(tmp_path, SINK.format(made))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "extra_of_a_test", raising=False)

    with pytest.raises(ConfigError, match=sentence):
        sinks_of(Settings.load(events_kafka=False, events_webhooks="http://a/b"))

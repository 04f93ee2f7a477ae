"""Each event reaches each sink, whatever the sink does meanwhile; what does not is kept."""

import json
import sqlite3
import threading
import time
from contextlib import closing

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from structlog.testing import capture_logs

from k2.errors import ConfigError
from k2.jobs import database as database_module
from k2.jobs.database import Database
from k2.jobs.delivery import backlog, webhook
from k2.jobs.delivery import dispatcher as dispatcher_module
from k2.jobs.delivery.backlog import claim, dispatch, send_again
from k2.jobs.delivery.dispatcher import Dispatcher
from k2.jobs.delivery.sink import Sink, SinkAbsentError
from k2.jobs.delivery.sinks import sinks_of
from k2.jobs.delivery.webhook import WebhookSink, signature
from k2.jobs.outbox import Event, add_fact
from k2.jobs.registry import Registry
from k2.retry import POLICY, retry_after
from k2.settings import Settings
from tests.support.home import wait_until
from tests.support.jobs import QUICK
from tests.support.read_only import make_read_only
from tests.support.webhook import receiver


class ListSink:
    """Takes events into a list."""

    name = "list"

    def __init__(self, takes_seconds: float = 0.0) -> None:
        self.events: list[Event] = []
        self.takes_seconds = takes_seconds

    def deliver(self, event: Event) -> None:
        time.sleep(self.takes_seconds)
        self.events.append(event)

    def close(self) -> None:
        return


def write_events(database: Database, count: int, subject: str = "job-1") -> None:
    with database.writing() as connection:
        for number in range(count):
            add_fact(
                connection,
                *("jobs/count", "io.k2.job.progress", subject),
                {"number": number, "request_id": "r-1"},
            )


def dispatcher_of(database: Database, *sinks: Sink) -> Dispatcher:
    return Dispatcher(database, sinks, QUICK, look_seconds=0.02)


@pytest.fixture
def quick_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_ANSWER_SECONDS", 1.0)


def deliver_all(database: Database, sink: Sink, lookups: int = 50) -> None:
    dispatch(database, [sink.name])
    dispatcher = dispatcher_of(database, sink)
    for _ in range(lookups):
        wait = dispatcher.deliver_once(sink)
        threading.Event().wait(min(wait, 0.1))


def test_events_reach_every_sink_in_order_and_leave_nothing_behind(database: Database) -> None:
    first, second = ListSink(), ListSink()
    second.name = "other"
    write_events(database, 120)
    dispatcher = dispatcher_of(database, first, second)

    dispatcher.start()
    wait_until(lambda: len(first.events) >= 120 and len(second.events) >= 120, 30)
    dispatcher.stop()

    for sink in (first, second):
        assert [event.data["number"] for event in sink.events] == list(range(120))
        assert claim(database, sink.name) == []


def test_a_slow_sink_delays_neither_the_others_nor_the_writers(database: Database) -> None:
    slow, quick = ListSink(takes_seconds=0.5), ListSink()
    slow.name = "slow"
    write_events(database, 20)
    dispatcher = dispatcher_of(database, slow, quick)

    dispatcher.start()
    wait_until(lambda: len(quick.events) == 20, 8)
    slow_then = len(slow.events)
    dispatcher.stop()

    assert slow_then < 20


def test_a_webhook_gets_a_signed_cloud_event(database: Database) -> None:
    write_events(database, 1)

    with receiver() as found:
        deliver_all(database, WebhookSink(found.url, "a secret"), 2)

    ((headers, body),) = found.taken
    event = from_structured_event(HTTPMessage(headers, body), JSONFormat())
    assert (event.get_id(), event.get_type()) == ("1", "io.k2.job.progress")
    assert (event.get_source(), event.get_subject()) == ("/k2/jobs/count", "job-1")
    assert event.get_extension("correlationid") == "r-1"
    assert headers["webhook-signature"] == signature(
        b"a secret", headers["webhook-id"], headers["webhook-timestamp"], body
    )
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize("plan", [[500, 503, 429, 408], ["hang"], ["hang", 500]])
def test_what_a_webhook_does_not_take_now_it_gets_later_in_order(
    database: Database, quick_webhooks: None, plan: list[int | str]
) -> None:
    write_events(database, 3)

    with receiver(*plan) as found:
        sink = WebhookSink(found.url)
        sink._client.timeout = httpx.Timeout(1.0)
        deliver_all(database, sink)

    numbers = [json.loads(body)["data"]["number"] for _, body in found.taken]
    assert numbers == [0, 1, 2]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 410])
def test_what_a_webhook_refuses_or_redirects_is_kept_and_counted_and_can_be_sent_again(
    database: Database, registry: Registry, status: int
) -> None:
    write_events(database, 2)

    with receiver(status, location="http://127.0.0.1:9/elsewhere") as found:
        sink = WebhookSink(found.url)
        deliver_all(database, sink, 5)
        kept = registry.undelivered()
        taken_before = len(found.taken)
        again = send_again(database, sink.name)
        deliver_all(database, sink, 5)

    assert (taken_before, kept, again) == (1, {sink.name: 1}, 1)
    assert len(found.taken) == 2
    assert registry.undelivered() == {}


def test_a_webhook_that_answers_500_for_an_hour_gets_all_in_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [backlog.now_ms()]
    monkeypatch.setattr(backlog, "now_ms", lambda: now[0])
    write_events(database, 3)
    begun = now[0]

    with receiver(*[500] * 70) as found:
        sink = WebhookSink(found.url)
        dispatch(database, [sink.name])
        dispatcher = Dispatcher(database, [sink], POLICY)
        while now[0] - begun < 3_600_000:
            now[0] += int(dispatcher.deliver_once(sink) * 1000) + 1_000
        after_an_hour = found.asked
        found.plan.clear()
        for _ in range(10):
            now[0] += 61_000
            dispatcher.deliver_once(sink)

    assert 55 <= after_an_hour <= 70
    assert [json.loads(body)["data"]["number"] for _, body in found.taken] == [0, 1, 2]
    assert claim(database, sink.name) == []


def test_a_webhook_that_nobody_listens_to_loses_nothing(database: Database) -> None:
    write_events(database, 2)
    with receiver() as gone:
        url = gone.url

    sink = WebhookSink(url)
    deliver_all(database, sink, 3)
    threading.Event().wait(0.1)

    assert len(claim(database, sink.name)) == 2


def test_a_server_that_says_when_to_come_back_is_believed() -> None:
    assert retry_after("7") == 7.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("soon") is None


def test_a_sink_that_is_nowhere_yet_is_not_counted_as_failing(
    database: Database, registry: Registry
) -> None:
    class Absent(ListSink):
        name = "absent"

        def deliver(self, event: Event) -> None:
            raise SinkAbsentError("not yet")

    write_events(database, 1)
    sink = Absent()

    deliver_all(database, sink, 2)

    (claimed,) = claim(database, sink.name)
    assert claimed.attempts == 0


def test_an_event_that_a_killed_process_had_in_hand_is_sent_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(database, 1)
    dispatch(database, ["list"])
    claim(database, "list")  # and dies
    sink = ListSink()

    deliver_all(database, sink, 1)
    before = len(sink.events)
    monkeypatch.setattr("k2.jobs.delivery.backlog.now_ms", lambda: int(time.time() * 1000) + 61_000)
    deliver_all(database, sink, 1)

    assert (before, len(sink.events)) == (0, 1)


def test_a_registry_that_cannot_be_written_is_logged_and_delivery_goes_on_when_it_can(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "_TROUBLE_SECONDS", 0.05)
    write_events(database, 3)
    sink = ListSink()
    dispatcher = dispatcher_of(database, sink)
    undo = make_read_only(database)
    monkeypatch.setattr(dispatcher_module, "release_claims", lambda _database: None)

    with capture_logs() as logs:
        dispatcher.start()
        wait_until(lambda: logs, 30)
        undo()
        wait_until(lambda: len(sink.events) == 3, 30)
        dispatcher.stop()

    assert {log["event"] for log in logs} == {"events_stand_still"}
    assert "cannot be written" in logs[0]["reason"]


def test_a_registry_that_is_locked_for_a_while_delays_events_and_loses_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "_TROUBLE_SECONDS", 0.05)
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    write_events(database, 3)
    database.close()  # it tells SQLite how long to wait when it connects
    monkeypatch.setattr(dispatcher_module, "release_claims", lambda _database: None)
    assert database.file is not None
    sink = ListSink()
    dispatcher = dispatcher_of(database, sink)
    with closing(sqlite3.connect(database.file)) as other:
        other.execute("BEGIN IMMEDIATE")
        dispatcher.start()
        threading.Event().wait(0.3)
        came_while_locked = len(sink.events)

    wait_until(lambda: len(sink.events) == 3, 30)
    dispatcher.stop()

    assert came_while_locked == 0
    assert [event.data["number"] for event in sink.events] == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_redis_gets_events_into_a_stream(database: Database, redis_url: str) -> None:
    import redis

    from k2.jobs.delivery.redis_streams import STREAM, RedisSink

    write_events(database, 2)
    sink = RedisSink(redis_url)

    deliver_all(database, sink, 2)
    with redis.Redis.from_url(redis_url) as reader:
        found = [json.loads(fields[b"event"]) for _, fields in reader.xrange(STREAM)]
    sink.close()

    assert [event["data"]["number"] for event in found] == [0, 1]


@pytest.mark.parametrize(
    ("settings_", "sentence"),
    [
        ({"events_webhooks": "ftp://x"}, "'ftp://x' is no http"),
        ({"events_webhooks": "http://a:port/b"}, "'http://a:port/b' is no http"),
        ({"events_webhooks": "http://a:99999/b"}, "'http://a:99999/b' is no http"),
        ({"events_webhooks": "http://[::1/b"}, "is no http"),
        ({"events_webhooks": "http://a/b, http://a/b"}, "Two event sinks are named webhook:a/b"),
        ({"events_redis": "nowhere"}, "is no address"),
    ],
)
def test_a_sink_that_cannot_be_is_said_at_the_start(
    settings_: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        sinks_of(Settings.load(**settings_))


def test_sinks_are_those_that_are_asked_for() -> None:
    chosen = Settings.load(events_kafka=True, events_webhooks="http://a/b,https://c:8443/d")

    assert [sink.name for sink in sinks_of(chosen)] == ["kafka", "webhook:a/b", "webhook:c:8443/d"]
    assert sinks_of(Settings.load(events_kafka=False)) == []

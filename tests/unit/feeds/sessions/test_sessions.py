"""Events of live feeds become rows of ``ops_feed_sessions``, each once, whatever they hold."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2.errors import InUseError, UnavailableError
from k2.feeds.live.feed_record import FeedRecord
from k2.feeds.live.journal import EVENTS_TOPIC, FeedJournal
from k2.feeds.sessions.recorder import SessionRecorder
from k2.feeds.sessions.rows import EventRecord, rows_of
from k2.feeds.sessions.table import OPS_FEED_SESSIONS
from k2.home.locks import exclusive
from k2.settings import Settings
from k2.storage.scan import scan_table

pytestmark = pytest.mark.unit

NOW_US = 1_780_000_000_123_456


@dataclass
class Message:
    _offset: int
    _value: bytes

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, NOW_US // 1000


@dataclass
class Topic:
    """The topic of events, as a reader gives it; ``low`` is the oldest that it still has."""

    values: list[bytes] = field(default_factory=list)
    low: int = 0

    def watermarks(self, topic: str) -> dict[int, tuple[int, int]]:
        assert topic == EVENTS_TOPIC
        return {0: (self.low, len(self.values))}

    def messages(self, topic: str, partition: int, first: int, end: int) -> Iterator[Message]:
        assert first >= self.low
        for offset in range(first, end):
            yield Message(offset, self.values[offset])

    def send(self, record: FeedRecord) -> None:
        self.values.append(record.value)


@pytest.fixture
def topic() -> Topic:
    return Topic()


def recorder(home: Path, topic: Topic, topic_id: str = "a") -> SessionRecorder:
    settings = Settings.load(home=home)
    return SessionRecorder(
        settings, "kafka:9092", lambda _kafka: topic, lambda _kafka, _topic: topic_id  # type: ignore[arg-type, return-value]
    )


def journal(topic: Topic, service: str = "kraken") -> FeedJournal:
    exchange = service.partition("-")[0]
    return FeedJournal(exchange, service, topic.send, lambda: NOW_US)


def stored(home: Path) -> list[dict[str, Any]]:
    rows = scan_table(Settings.load(home=home).lake, OPS_FEED_SESSIONS).table()
    return rows.sort_by([("offset", "ascending"), ("position", "ascending")]).to_pylist()


def test_an_event_has_a_row_for_each_of_its_markets(tmp_path: Path, topic: Topic) -> None:
    journal(topic).write("connected", session="s1", markets=["BTC/USD", "ETH/USD"])

    assert recorder(tmp_path, topic).record() == 1

    rows = stored(tmp_path)
    assert [(r["symbol"], r["exchange_symbol"], r["position"]) for r in rows] == [
        ("BTC-USD", "BTC/USD", 0),
        ("ETH-USD", "ETH/USD", 1),
    ]
    assert {(r["event"], r["exchange"], r["session_id"]) for r in rows} == {
        ("connected", "kraken", "s1")
    }


def test_a_gap_has_its_numbers_and_the_times_around_it(tmp_path: Path, topic: Topic) -> None:
    journal(topic, "binance-usdm").write(
        "gap_opened", markets=["BTCUSDT"], first=11, last=19, after_us=NOW_US, before_us=NOW_US + 7
    )

    recorder(tmp_path, topic).record()

    (row,) = stored(tmp_path)
    assert (row["symbol"], row["first_id"], row["last_id"]) == ("BTC-USDT-PERP", 11, 19)
    assert (row["before_at"] - row["after_at"]).microseconds == 7


def test_what_else_an_event_says_is_kept(tmp_path: Path, topic: Topic) -> None:
    journal(topic).write("disconnected", session="s", reason="1012: restart", messages=7)

    recorder(tmp_path, topic).record()

    (row,) = stored(tmp_path)
    assert (row["symbol"], row["reason"]) == (None, "1012: restart")
    assert json.loads(row["detail"]) == {"messages": 7}


def test_an_event_is_recorded_once_however_often_and_by_whom(tmp_path: Path, topic: Topic) -> None:
    first, second = recorder(tmp_path, topic), recorder(tmp_path, topic)
    journal(topic).write("connected")
    first.record()
    journal(topic).write("disconnected")

    counts = [second.record(), first.record(), second.record()]

    assert counts == [1, 0, 0]
    assert [row["event"] for row in stored(tmp_path)] == ["connected", "disconnected"]


def test_a_topic_made_anew_is_read_from_its_beginning(tmp_path: Path, topic: Topic) -> None:
    journal(topic).write("connected")
    recorder(tmp_path, topic).record()

    assert recorder(tmp_path, topic, topic_id="b").record() == 1


def test_what_kafka_no_longer_has_stops_nothing(tmp_path: Path, topic: Topic) -> None:
    for event in ("one", "two", "three"):
        journal(topic).write(event)
    topic.low = 2

    recorder(tmp_path, topic).record()

    assert [row["event"] for row in stored(tmp_path)] == ["three"]


def test_while_another_process_records_nothing_is_written(tmp_path: Path, topic: Topic) -> None:
    journal(topic).write("connected")
    keeper = recorder(tmp_path, topic)

    with exclusive(tmp_path / "run" / "locks", [OPS_FEED_SESSIONS.name], "a test"):
        with pytest.raises(InUseError):
            keeper.record()
        keeper.try_record()

    assert keeper.record() == 1


def test_a_kafka_that_does_not_answer_is_warned_of_once_until_it_does(
    tmp_path: Path, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = recorder(tmp_path, topic)

    def refuse(_self: SessionRecorder) -> int:
        raise UnavailableError("Kafka does not answer.")

    with capture_logs() as logs:
        for answers in (False, False, True, False):
            with monkeypatch.context() as patched:
                if not answers:
                    patched.setattr(SessionRecorder, "record", refuse)
                keeper.try_record()

    assert [log["event"] for log in logs] == ["feed_sessions_wait"] * 2


def test_without_events_there_is_no_table(tmp_path: Path, topic: Topic) -> None:
    assert recorder(tmp_path, topic).record() == 0

    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"no json", b"[]", b"{}", b"null", b"\xff\xfe"),
        b'{"time_us":1e400,"event":"x","exchange":"kraken","service":"kraken"}',
        b'{"time_us":99999999999999999999,"event":"x","exchange":"k","service":"k"}',
        b'{"time_us":1,"event":5,"exchange":"kraken","service":"kraken"}',
        b'{"time_us":1,"event":"x","exchange":"k","service":"k","first":"a"}',
        b'{"time_us":1,"event":"x","exchange":"k","service":"k","last":9223372036854775808}',
        b'{"time_us":1,"event":"x","exchange":"k","service":"k","markets":[null]}',
    ],
)
def test_rubbish_is_a_row_and_stops_nothing(value: bytes, tmp_path: Path, topic: Topic) -> None:
    topic.values.append(value)
    journal(topic).write("connected")

    assert recorder(tmp_path, topic).record() == 2

    assert [row["event"] for row in stored(tmp_path)] == ["unreadable", "connected"]


def test_a_record_without_a_time_has_the_events() -> None:
    said = {"time_us": NOW_US, "event": "x", "exchange": "kraken", "service": "kraken"}
    record = EventRecord(json.dumps(said).encode(), EVENTS_TOPIC, 0, 0, -1)

    (row,) = rows_of(record, lambda _service, _name: None)

    assert row["kafka_timestamp"] == row["at"]

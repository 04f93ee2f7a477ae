"""Replay: what is sent where, the counts, the pace and what stays when a file breaks."""

import pytest

from k2.errors import ConfigError
from k2.exchanges import exchange_named
from k2.feeds.replay import Pace, replay

pytestmark = pytest.mark.unit

BINANCE = exchange_named("binance")
TRADE = (
    b'{"e":"trade","E":1783465157897,"s":"%s","t":1,"p":"1.0","q":"2.0","T":1783465157896,"m":true}'
)


class Sent(list):
    """A sink that keeps what it gets."""

    def __init__(self):
        super().__init__()
        self.flushes = 0

    def send(self, topic, key, value):
        self.append((topic, key, value))

    def flush(self, seconds=None):
        self.flushes += 1


def text_of(record):
    return f"{record['symbol']} {record['ingestion_timestamp']}".encode()


def write(path, *lines):
    path.write_bytes(b"\n".join(lines))
    return path


def test_trades_go_to_the_trade_topic_and_unusable_messages_unchanged_to_the_rejected_one(tmp_path):
    broken = b'{"e":"trade", "s":"BTCUSDT" }'
    path = write(
        tmp_path / "a", b"1783465157897123 " + TRADE % b"BTCUSDT", b'{"id":1}', broken, b"\xff\x00"
    )
    sink = Sent()

    (counts,) = replay([path], BINANCE, text_of, sink)

    assert sink == [
        (BINANCE.topic, b"BTCUSDT", b"BTCUSDT 1783465157897123"),
        (BINANCE.rejected_topic, None, broken),
        (BINANCE.rejected_topic, None, b"\xff\x00"),
    ]
    assert counts.as_json() == {
        "file": str(path),
        "lines": 4,
        "trades": 1,
        "other": 1,
        "rejected": 2,
        "sent": 3,
    }


def test_a_line_without_receive_time_was_received_now(tmp_path):
    sink = Sent()

    list(replay([write(tmp_path / "a", TRADE % b"X")], BINANCE, text_of, sink, now_us=lambda: 42))

    assert sink[0][2] == b"X 42"


def test_nothing_is_sent_when_one_of_the_files_is_missing(tmp_path):
    sink = Sent()
    good = write(tmp_path / "a", TRADE % b"X")

    with pytest.raises(ConfigError):
        list(replay([good, tmp_path / "nope"], BINANCE, text_of, sink))

    assert sink == []


def test_what_came_before_a_break_is_sent_and_flushed(tmp_path):
    sink = Sent()
    path = write(tmp_path / "a", TRADE % b"X", b"y" * (17 << 20))

    with pytest.raises(ConfigError, match="after line 1 "):
        list(replay([path], BINANCE, text_of, sink))

    assert len(sink) == 1
    assert sink.flushes == 1


def test_progress_ends_at_the_size_of_all_files(tmp_path):
    files = [write(tmp_path / name, TRADE % b"X") for name in "ab"]
    seen = []

    list(
        replay(
            files, BINANCE, text_of, Sent(), progress=lambda done, size: seen.append((done, size))
        )
    )

    size = sum(path.stat().st_size for path in files)
    assert seen == [(size // 2, size), (size, size)]


def test_a_pace_waits_by_the_recorded_times_and_never_catches_up_twice():
    now, waits = [100.0], []

    def wait(seconds):
        waits.append(seconds)
        now[0] += seconds

    pace = Pace(10, clock=lambda: now[0], wait=wait)

    for moment in (5_000_000, None, 15_000_000, 14_000_000, 25_000_000):
        pace.keep(moment)

    assert waits == [pytest.approx(1.0), pytest.approx(1.0)]


def test_without_a_speed_nothing_waits():
    def wait(_):
        raise AssertionError

    pace = Pace(0, wait=wait)

    pace.keep(0)
    pace.keep(10**15)

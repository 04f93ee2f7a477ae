"""A simulator's run: the schedule, a clean stop, and the files it leaves."""

import errno
import json
from collections import Counter
from threading import Event

import pytest

from k2.errors import ConfigError, UnavailableError
from k2.feeds.simulator import feed_files
from k2.feeds.simulator.feed_files import read_progress
from k2.feeds.simulator.market import MARKETS
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from k2.feeds.simulator.simulator import FeedFiles, Schedule, Simulator

pytestmark = pytest.mark.unit

SIMULATION = Simulation(1_790_000_000_000_000, 1000.0, bad=0.05, late=0.05, duplicates=0.05)
ENCODERS = {market.schema: lambda record: repr(record).encode() for market in MARKETS}


class Sent(list):
    """A sink that keeps what it gets, and may break after some records."""

    def __init__(self, breaks_after=None):
        super().__init__()
        self.flushed = 0
        self._breaks_after = breaks_after

    def send(self, topic, key, value, time_ms=None):
        if len(self) == self._breaks_after:
            raise UnavailableError("gone")
        self.append((topic, key, value, time_ms))

    def flush(self, seconds=None):
        self.flushed = len(self)
        self.flush_seconds = seconds


class Clock:
    """A clock that moves only while its event is waited for."""

    def __init__(self, stop_at=None):
        self.now = 0.0
        self.stop = Event()
        self._stop_at = stop_at
        self.stop.wait = self.wait

    def __call__(self):
        return self.now

    def wait(self, timeout):
        assert timeout > 0
        self.now += timeout
        if self._stop_at is not None and self.now >= self._stop_at:
            self.stop.set()


def simulator(sink, schedule, folder, clock, progress=None):
    files = FeedFiles(folder / "simulator.json", folder / "feed.json", folder / "manifest.jsonl")
    feed = SimulatedFeed(SIMULATION, ENCODERS, progress or Progress())
    return Simulator(feed, sink, schedule, files, stop=clock.stop, clock=clock)


def test_the_schedule_is_kept_whatever_the_block_size(tmp_path):
    sink, clock = Sent(), Clock()

    simulator(sink, Schedule(rate=700, seconds=10), tmp_path, clock).run()

    assert len(sink) == 7000
    assert clock.now == pytest.approx(10, abs=0.3)


def test_a_sink_that_was_slow_gets_what_became_due_meanwhile(tmp_path):
    clock = Clock()
    sink = Sent()
    send = sink.send

    def slow_once(topic, key, value, time_ms):
        if len(sink) == 100:
            clock.now += 5
        send(topic, key, value, time_ms)

    sink.send = slow_once

    simulator(sink, Schedule(rate=100, seconds=10), tmp_path, clock).run()

    assert len(sink) == 1000
    assert clock.now == pytest.approx(10, abs=0.3)


def test_a_count_ends_a_run_at_full_speed_exactly(tmp_path):
    sink = Sent()

    tally = simulator(sink, Schedule(rate=None, count=3333), tmp_path, Clock()).run()

    assert len(sink) == sink.flushed == tally.records == 3333


def test_the_manifest_names_every_sent_record_and_sums_up(tmp_path):
    sink = Sent()

    simulator(sink, Schedule(rate=None, count=3000), tmp_path, Clock()).run()

    facts = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    summary = json.loads((tmp_path / "manifest.jsonl.summary.json").read_text())
    kinds = Counter((fact["exchange"], fact["kind"]) for fact in facts)
    assert len(facts) == 3000
    assert summary["complete"] is True
    for name, counts in summary["exchanges"].items():
        late = kinds[name, "late"]
        assert counts["late"] == late
        assert counts["distinct_trades"] == kinds[name, "trade"] + late
        assert counts["duplicates"] == kinds[name, "duplicate"]
        assert counts["bad"] == kinds[name, "bad"] == sum(counts["bad_by_defect"].values())


def test_a_stopped_run_is_flushed_and_the_next_continues_without_gap_or_repeat(tmp_path):
    first, second = Sent(), Sent()
    simulator(first, Schedule(rate=900), tmp_path, Clock(stop_at=2.5)).run()
    left = read_progress(tmp_path / "simulator.json")

    simulator(second, Schedule(rate=None, count=3000), tmp_path, Clock(), left).run()

    assert first.flushed == len(first) < 3000
    assert first.flush_seconds == 10
    assert second.flush_seconds is None
    facts = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    ids = [
        fact["trade_id"]
        for fact in facts
        if fact["kind"] in ("trade", "late") and fact["symbol"] == "BTCUSDT"
    ]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(facts) == len(first) + len(second)


def test_an_outage_leaves_a_manifest_without_summary_and_ids_that_are_not_used_again(tmp_path):
    sink = Sent(breaks_after=500)

    with pytest.raises(UnavailableError):
        simulator(sink, Schedule(rate=None, count=3000), tmp_path, Clock()).run()

    facts = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    used = max(fact["trade_id"] for fact in facts if fact["symbol"] == "BTCUSDT")
    assert not (tmp_path / "manifest.jsonl.summary.json").exists()
    assert read_progress(tmp_path / "simulator.json").next_ids["binance:BTCUSDT"] > used
    assert len(facts) >= 500


def test_the_status_says_how_much_was_sent_and_how_fast(tmp_path):
    simulator(Sent(), Schedule(rate=200, seconds=5), tmp_path, Clock()).run()

    status = json.loads((tmp_path / "feed.json").read_text())
    assert status["state"] == "ended"
    assert status["sent"] == sum(status["by_kind"].values()) == 1000
    assert status["rate"] == pytest.approx(200, rel=0.1)


def test_a_state_file_of_something_else_is_an_error_that_names_it(tmp_path):
    for content in ("", "[]", '{"who": 1}'):
        (tmp_path / "simulator.json").write_text(content)

        with pytest.raises(ConfigError, match=r"simulator\.json"):
            read_progress(tmp_path / "simulator.json")


class FullDisk:
    """Has no room for so many writes of a file, then some."""

    def __init__(self, monkeypatch, name, refused):
        self.name, self.refused, self.tried = name, refused, 0
        self._replace = feed_files._replace
        monkeypatch.setattr(feed_files, "_replace", self)

    def __call__(self, file, content):
        self.tried += file.name == self.name
        if file.name == self.name and self.tried <= self.refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._replace(file, content)


@pytest.mark.parametrize("name", ["simulator.json", "feed.json"])
def test_a_disk_that_is_full_for_a_moment_is_waited_for(tmp_path, monkeypatch, name):
    sink, clock = Sent(), Clock()
    disk = FullDisk(monkeypatch, name, refused=20)

    simulator(sink, Schedule(rate=700, seconds=20), tmp_path, clock).run()

    assert disk.tried > 20
    assert len(sink) == 14_000
    assert clock.now == pytest.approx(20, abs=0.3)


def test_without_room_for_half_a_minute_the_feed_ends_before_it_uses_ids_that_are_not_kept(
    tmp_path, monkeypatch
):
    sink, clock = Sent(), Clock()
    FullDisk(monkeypatch, "simulator.json", refused=10**9)

    with pytest.raises(OSError, match="No space left"):
        simulator(sink, Schedule(rate=700, seconds=10), tmp_path, clock).run()

    assert clock.now == pytest.approx(30, abs=1)
    assert sink == []


def test_who_stops_a_feed_that_has_no_room_does_not_wait_for_it(tmp_path, monkeypatch):
    clock = Clock(stop_at=5)
    FullDisk(monkeypatch, "simulator.json", refused=10**9)

    with pytest.raises(OSError, match="No space left"):
        simulator(Sent(), Schedule(rate=700), tmp_path, clock).run()

    assert clock.now == pytest.approx(5, abs=0.3)


def test_any_other_error_of_a_file_is_not_waited_for(tmp_path):
    (tmp_path / "simulator.json").mkdir()
    clock = Clock()

    with pytest.raises(IsADirectoryError):
        simulator(Sent(), Schedule(rate=700, seconds=1), tmp_path, clock, Progress()).run()

    assert clock.now == 0

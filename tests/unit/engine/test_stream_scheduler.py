"""A stream is started when it is wanted, in a thread that nobody waits for."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k2.engine.stream import Stream
from k2.engine.stream_scheduler import StreamScheduler
from k2.engine.stream_task import StreamTask
from k2.errors import UnavailableError
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.observability.status import StreamStatus
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from tests.support.query_progress import FakeQuery
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit

EXCHANGE = EXCHANGES[0]
SILVER = silver_trades(EXCHANGE)


class Started:
    """Stands for a running stream."""

    def __init__(self, name: str) -> None:
        self.name, self.query = name, FakeQuery()


class Run:
    """Silver, which reads ten records, and Gold, which reads Silver."""

    def __init__(self, home: Path, available_now: bool = False) -> None:
        streams = (
            idle_stream(Layer.SILVER, EXCHANGE, SILVER, unread=lambda: 10),
            idle_stream(Layer.GOLD, None, GOLD_TRADES, reads=(SILVER,)),
        )
        self.tasks = [StreamTask(s, StreamStatus(s.name, str(s.layer), None)) for s in streams]
        self.silver, self.gold = self.tasks
        settings = Settings.load(home=home)
        spark: Any = None
        self.starter = StreamScheduler(spark, settings, self.tasks, available_now, lambda *_: None)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Set it, and starts come to their end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go: threading.Event) -> Run:
    def slow_start(stream: Stream, *_: Any) -> Started:
        go.wait(30)
        return Started(stream.name)

    monkeypatch.setattr("k2.engine.stream_scheduler.start", slow_start)
    return Run(tmp_path)


def test_a_stream_that_was_never_sent_anything_is_not_started(run: Run) -> None:
    assert run.starter.begin(run.gold) is False
    assert run.gold.starting is None


def test_a_start_keeps_nobody_waiting(run: Run, go: threading.Event) -> None:
    assert run.starter.begin(run.silver) is True
    assert run.silver.starting is not None
    assert not run.silver.starting.done()

    go.set()

    assert run.silver.starting.result(30).name == "silver-binance"


def test_a_stream_that_others_read_is_started_though_it_has_taken_all(run: Run) -> None:
    run.silver.rows_in = 10

    assert run.starter.begin(run.silver) is True


def test_the_last_stream_waits_for_the_first_batches_of_those_before_it(run: Run) -> None:
    run.silver.rows_out = 10
    assert run.starter.begin(run.gold) is False

    run.silver.status.batches = 1
    assert run.starter.begin(run.gold) is True


def test_the_last_stream_waits_for_news(run: Run) -> None:
    run.silver.status.batches = 1
    run.silver.rows_out = run.gold.rows_in = 10
    assert run.starter.begin(run.gold) is False

    run.silver.rows_out += 1
    assert run.starter.begin(run.gold) is True


def test_a_run_that_ends_by_itself_starts_all_that_ever_had_input(run: Run, tmp_path: Path) -> None:
    ending = Run(tmp_path, available_now=True)
    ending.silver.rows_out = ending.gold.rows_in = 10

    assert ending.starter.begin(ending.gold) is True


def test_a_stream_whose_start_ends_while_the_run_does_is_there_to_be_stopped(
    run: Run, go: threading.Event
) -> None:
    run.starter.begin(run.silver)
    go.set()

    run.starter.stop()

    assert run.silver.starting is None
    assert run.silver.running is not None


def test_what_spark_says_of_a_start_is_the_streams_failure(
    run: Run, go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Started:
        raise RuntimeError("java.net.ConnectException: Connection refused")

    monkeypatch.setattr("k2.engine.stream_scheduler.start", refuse)
    run.starter.begin(run.silver)

    assert run.silver.starting is not None
    with pytest.raises(UnavailableError, match=r"silver-.*Connection refused"):
        run.silver.starting.result(10)

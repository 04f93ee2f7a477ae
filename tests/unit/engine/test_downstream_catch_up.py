"""Batches wait for those that follow, as long as these get on."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k2.bronze.table import bronze_trades
from k2.engine import downstream_catch_up as catching_up
from k2.engine.chained_stream import ChainedStream
from k2.engine.downstream_catch_up import DownstreamCatchUp
from k2.engine.request_server import request_server
from k2.engine.stream import Stream
from k2.engine.stream_scheduler import StreamScheduler
from k2.engine.stream_task import StreamTask
from k2.engine.streams_behind import find_streams_behind, mark_readers_behind
from k2.engine.table_requests import MAINTAIN, REPLAY, Request
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.observability.status import StreamStatus
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from k2.storage.writers.arrow import ArrowWriter
from tests.support.control import MemoryControl
from tests.support.streams import idle_stream
from tests.support.trades import append_bronze, framed, kraken_raw

pytestmark = pytest.mark.unit

KRAKEN = next(exchange for exchange in EXCHANGES if exchange.name == "kraken")
BRONZE, SILVER = bronze_trades(KRAKEN), silver_trades(KRAKEN)
A_MOMENT, LONG_ENOUGH = 0.4, 10.0
RUNNING: Any = object()


class Run:
    """Bronze, and Silver and Gold that follow it."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.load(home=home)
        streams = [
            idle_stream(Layer.BRONZE, KRAKEN, BRONZE, unread=lambda: 1),
            self._chained(idle_stream(Layer.SILVER, KRAKEN, SILVER, reads=(BRONZE,))),
            self._chained(idle_stream(Layer.GOLD, None, GOLD_TRADES, reads=(SILVER,))),
        ]
        self.tasks = [StreamTask(s, StreamStatus(s.name, str(s.layer), None)) for s in streams]
        self.bronze, self.silver, self.gold = self.tasks
        self.catching_up = DownstreamCatchUp(self.tasks)

    def starter(self) -> StreamScheduler:
        spark: Any = None
        return StreamScheduler(spark, self.settings, self.tasks, False, lambda *_: None)

    def batch(self, task: StreamTask) -> threading.Thread:
        thread = threading.Thread(target=self.catching_up.wait, args=(task,), daemon=True)
        thread.start()
        thread.join(A_MOMENT)
        return thread

    def _chained(self, stream: Stream) -> Stream:
        writer = ArrowWriter(self.settings.lake)
        chained = ChainedStream.of(replace(stream, writer=writer), self.settings)
        return replace(stream, chained=chained)


def chained(task: StreamTask) -> ChainedStream:
    assert task.stream.chained is not None
    return task.stream.chained


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_nobody_waits_where_everybody_is_level(run: Run) -> None:
    assert not run.batch(run.bronze).is_alive()


@pytest.mark.parametrize("name", ["silver", "gold"])
def test_bronze_waits_until_a_chained_stream_has_caught_up(run: Run, name: str) -> None:
    task = getattr(run, name)
    task.running = RUNNING

    waiting = run.batch(run.bronze)
    assert waiting.is_alive()

    task.running = None
    waiting.join(LONG_ENOUGH)
    assert not waiting.is_alive()


def test_nobody_waits_for_one_that_fails(run: Run) -> None:
    run.silver.running, run.silver.status.error = RUNNING, "the registry does not answer"

    assert not run.batch(run.bronze).is_alive()


def test_nobody_waits_for_ever(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching_up, "_MAX_WAIT_SECONDS", 0.1)
    run.silver.running = RUNNING

    assert not run.batch(run.bronze).is_alive()


def test_the_end_of_the_run_ends_the_waiting(run: Run) -> None:
    run.silver.running = RUNNING
    waiting = run.batch(run.bronze)

    run.catching_up.end()

    waiting.join(LONG_ENOUGH)
    assert not waiting.is_alive()


def test_a_chained_stream_is_started_only_when_it_is_behind(run: Run) -> None:
    assert run.starter().begin(run.silver) is False

    chained(run.silver).is_behind = True
    assert run.starter().begin(run.silver) is True
    assert chained(run.silver).is_catching_up


def test_gold_lets_silver_catch_up_first(run: Run) -> None:
    chained(run.gold).is_behind = True
    run.silver.running = RUNNING
    assert run.starter().begin(run.gold) is False

    run.silver.running = None
    assert run.starter().begin(run.gold) is True


def test_what_a_stream_wrote_by_itself_is_left_to_its_readers(run: Run) -> None:
    mark_readers_behind(run.silver, run.tasks)

    assert not chained(run.silver).is_behind
    assert chained(run.gold).is_behind


def test_who_is_behind_at_the_start_is_found(run: Run) -> None:
    append_bronze(run.settings.lake, KRAKEN, [framed(kraken_raw())])

    find_streams_behind(run.tasks, run.settings)

    assert chained(run.silver).is_behind
    assert not chained(run.gold).is_behind


def serve(run: Run, task: StreamTask, kind: str) -> Any:
    request = Request(kind, task.stream.name, {}, "id-1")
    control = MemoryControl(request)
    request_server(run.tasks, run.settings, control).serve_once()
    return control.answers["id-1"]


def test_maintenance_of_a_table_leaves_its_readers_as_they_are(run: Run) -> None:
    """Their own queries would find nothing new, and hold up the streams for seconds."""
    assert BRONZE.name in serve(run, run.bronze, MAINTAIN)

    assert not chained(run.silver).is_behind


@pytest.mark.parametrize(("trades", "is_behind"), [(2, True), (0, False)])
def test_readers_are_behind_a_replay_that_added_trades(
    run: Run, trades: int, is_behind: bool
) -> None:
    silver = replace(run.silver.stream, requests={REPLAY: lambda *_: {"trades": trades}})
    run.tasks[1] = run.silver = replace(run.silver, stream=silver)

    serve(run, run.silver, REPLAY)

    assert chained(run.gold).is_behind is is_behind
    assert run.silver.rows_out == trades

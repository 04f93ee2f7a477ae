"""All streams end at once: each may wait for something that is gone."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from k2.bronze.table import bronze_trades
from k2.engine.engine import Engine
from k2.engine.stream_task import StreamTask
from k2.exchanges import EXCHANGES
from k2.observability.status import StreamStatus
from k2.settings import Settings
from k2.storage.table import Layer
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit


def running(exchange: Any, stop: Any) -> StreamTask:
    """A slot whose query runs, until ``stop`` returns."""
    stream = idle_stream(Layer.BRONZE, exchange, bronze_trades(exchange))
    task = StreamTask(
        stream, StreamStatus(stream.name, str(stream.layer), exchange.name, "running")
    )
    task.running = SimpleNamespace(query=SimpleNamespace(stop=stop))
    return task


def ok() -> None:
    pass


def engine_of(settings: Settings, *tasks: StreamTask) -> Engine:
    spark: Any = None
    engine = Engine(spark, settings, [])
    engine._tasks.extend(tasks)
    return engine


def test_queries_are_stopped_beside_each_other(settings: Settings) -> None:
    both = threading.Barrier(2, timeout=30)
    tasks = [running(exchange, both.wait) for exchange in EXCHANGES[:2]]

    engine_of(settings, *tasks).stop()

    assert [task.status.state for task in tasks] == ["stopped", "stopped"]
    assert not both.broken


def test_a_query_that_does_not_end_in_time_is_no_hindrance_to_the_others(
    settings: Settings,
) -> None:
    def late() -> None:
        raise TimeoutError("Stream Execution thread failed to stop within 30000 milliseconds")

    stopped = threading.Event()
    tasks = [running(EXCHANGES[0], late), running(EXCHANGES[1], stopped.set)]

    engine_of(settings, *tasks).stop()

    assert stopped.is_set()
    assert [task.status.state for task in tasks] == ["stopped", "stopped"]

"""A stream tells of each batch once: to its status, its metrics and the log."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2.bronze.table import bronze_trades
from k2.engine.processor import BatchResult
from k2.engine.stream import Stream, StreamHandle
from k2.engine.stream_task import StreamTask
from k2.errors import FailedError
from k2.exchanges import EXCHANGES
from k2.observability.engine_metrics import EngineMetrics
from k2.settings import Settings
from k2.storage.table import Layer
from k2.storage.writers.writer import AppendResult
from tests.support.query_progress import FakeQuery, progress
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OFFSETS = {"startOffset": '{"t":{"0":3}}', "endOffset": '{"t":{"0":5}}', "latestOffset": "null"}


@pytest.fixture
def metrics(tmp_path: Path, stream: Stream) -> EngineMetrics:
    return EngineMetrics(Settings.load(home=tmp_path, metrics_port=0), [stream])


@pytest.fixture
def stream() -> Stream:
    exchange = EXCHANGES[0]
    return idle_stream(Layer.BRONZE, exchange, bronze_trades(exchange))


@pytest.fixture
def query() -> FakeQuery:
    return FakeQuery()


@pytest.fixture
def task(tmp_path: Path, stream: Stream, metrics: EngineMetrics, query: FakeQuery) -> StreamTask:
    metrics.ports[stream.name] = 8000
    task = StreamTask.of(stream, Settings.load(home=tmp_path), metrics)
    task.started(StreamHandle(stream, query), again=False)  # type: ignore[arg-type]
    return task


def value(metrics: EngineMetrics, name: str, **labels: str) -> float | None:
    base = {"stream": "bronze-binance", "exchange": "binance", "layer": "bronze"}
    return metrics["bronze-binance"].registry.get_sample_value(name, {**base, **labels})


def written(batch_id: int, rows: int = 2) -> BatchResult:
    return BatchResult("app", batch_id, AppendResult(rows, NOW, NOW, batch_id + 1))


def made(second: int, batch: int) -> dict[str, Any]:
    return {**progress(second, batch), "sources": [OFFSETS]}


def test_a_batch_is_logged_once_with_what_it_read_and_wrote(
    task: StreamTask, query: FakeQuery
) -> None:
    task.count_batch(written(0), 1.0)
    query.made.append(made(1, 0))

    with capture_logs() as logs:
        task.progressed()
        task.progressed()

    (line,) = logs
    assert line["event"] == "batch_written"
    assert (line["job_name"], line["batch_id"], line["rows"]) == ("bronze-binance", 0, 2)
    assert (line["read"], line["version"]) == (["t-0@3..5"], 1)


def test_a_batch_that_never_made_a_progress_is_logged_when_its_query_fails(
    task: StreamTask,
) -> None:
    task.count_batch(written(0), 1.0)

    with capture_logs() as logs:
        task.failed(FailedError("a checkpoint that cannot be written"))

    assert [(line["event"], line["batch_id"], line["read"]) for line in logs] == [
        ("batch_written", 0, [])
    ]


def test_metrics_have_every_batch_between_two_looks(
    task: StreamTask, query: FakeQuery, metrics: EngineMetrics
) -> None:
    for batch in range(4):
        task.count_batch(written(batch), 1.0)
        query.made.append(made(batch, batch))

    task.progressed()

    assert value(metrics, "k2_batches_total") == 4
    assert value(metrics, "k2_records_processed_total") == 8
    assert value(metrics, "k2_batch_processing_duration_seconds_count") == 4


def test_a_failure_is_counted_and_the_start_after_it(
    task: StreamTask, stream: Stream, metrics: EngineMetrics
) -> None:
    task.failed(FailedError("cannot write /h/checkpoints/bronze/v1/offsets"))
    assert value(metrics, "k2_stream_running") == 0

    task.started(StreamHandle(stream, FakeQuery()), again=True)  # type: ignore[arg-type]

    assert value(metrics, "k2_checkpoint_write_failures_total") == 1
    assert value(metrics, "k2_stream_restarts_total") == 1
    assert value(metrics, "k2_stream_running") == 1


def test_a_run_without_metrics_counts_and_logs_all_the_same(
    tmp_path: Path, stream: Stream, query: FakeQuery
) -> None:
    task = StreamTask.of(stream, Settings.load(home=tmp_path), None)
    task.started(StreamHandle(stream, query), again=False)  # type: ignore[arg-type]

    task.count_batch(written(0), 1.0)
    task.ended("stopped")

    assert (task.rows_in, task.rows_out, task.status.rows) == (2, 2, 2)
    assert task.status.metrics_port is None


def test_a_password_in_an_error_is_not_written_to_the_status(task):
    task.failed(FailedError("http://reader:hunter2@registry:8081 does not answer"))

    assert task.status.error == "http://***@registry:8081 does not answer"


def test_a_batch_that_was_handed_on_is_told_as_any_other(
    task: StreamTask, metrics: EngineMetrics
) -> None:
    task.ended("waiting")
    report = replace(written(0), progress=made(1, 0))

    with capture_logs() as logs:
        task.count_chained_batch(report, 1.0)
        task.count_chained_batch(replace(written(1), progress=made(2, 1)), 2.0)

    assert task.status.state == "running"
    assert (task.rows_in, task.rows_out) == (4, 4)
    assert [(line["batch_id"], line["read"]) for line in logs] == [
        (0, ["t-0@3..5"]),
        (1, ["t-0@3..5"]),
    ]
    assert value(metrics, "k2_stream_running") == 1
    assert value(metrics, "k2_batches_total") == 2
    assert value(metrics, "k2_batch_processing_duration_seconds_count") == 2


def test_a_query_that_has_taken_what_was_left_leaves_the_stream_running(task: StreamTask) -> None:
    task.finish_catch_up()

    assert task.running is None
    assert task.status.state == "running"

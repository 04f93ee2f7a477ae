"""A stream tells of each batch once: to its status, its metrics and the log."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from k2.bronze.table import bronze_trades
from k2.engine.stream import BatchReport, RunningStream, Stream
from k2.engine.stream_task import Slot
from k2.errors import FailedError
from k2.exchanges import EXCHANGES
from k2.observability.engine_metrics import EngineMetrics
from k2.settings import Settings
from k2.storage.table import Layer
from k2.storage.writers.writer import Appended
from tests.unit.engine.test_query_progress import FakeQuery, progress

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OFFSETS = {"startOffset": '{"t":{"0":3}}', "endOffset": '{"t":{"0":5}}', "latestOffset": "null"}


@pytest.fixture
def metrics(tmp_path: Path, stream: Stream) -> EngineMetrics:
    return EngineMetrics(Settings.load(home=tmp_path, metrics_port=0), [stream])


@pytest.fixture
def stream() -> Stream:
    def never(_: Any) -> Any:
        raise NotImplementedError

    exchange = EXCHANGES[0]
    return Stream(Layer.BRONZE, exchange, 1, (bronze_trades(exchange),), never, never)


@pytest.fixture
def query() -> FakeQuery:
    return FakeQuery()


@pytest.fixture
def slot(tmp_path: Path, stream: Stream, metrics: EngineMetrics, query: FakeQuery) -> Slot:
    metrics.ports[stream.name] = 8000
    slot = Slot.of(stream, Settings.load(home=tmp_path), metrics)
    slot.started(RunningStream(stream, query, None), again=False)  # type: ignore[arg-type]
    return slot


def value(metrics: EngineMetrics, name: str, **labels: str) -> float | None:
    base = {"stream": "bronze-binance", "exchange": "binance", "layer": "bronze"}
    return metrics["bronze-binance"].registry.get_sample_value(name, {**base, **labels})


def written(batch_id: int, rows: int = 2) -> BatchReport:
    return BatchReport("app", batch_id, Appended(rows, NOW, NOW, batch_id + 1))


def made(second: int, batch: int) -> dict[str, Any]:
    return {**progress(second, batch), "sources": [OFFSETS]}


def test_a_batch_is_logged_once_with_what_it_read_and_wrote(slot: Slot, query: FakeQuery) -> None:
    slot.took(written(0), 1.0)
    query.made.append(made(1, 0))

    with capture_logs() as logs:
        slot.progressed()
        slot.progressed()

    (line,) = logs
    assert line["event"] == "batch_written"
    assert (line["job_name"], line["batch_id"], line["rows"]) == ("bronze-binance", 0, 2)
    assert (line["read"], line["version"]) == (["t-0@3..5"], 1)


def test_a_batch_that_never_made_a_progress_is_logged_when_its_query_fails(slot: Slot) -> None:
    slot.took(written(0), 1.0)

    with capture_logs() as logs:
        slot.failed(FailedError("a checkpoint that cannot be written"))

    assert [(line["event"], line["batch_id"], line["read"]) for line in logs] == [
        ("batch_written", 0, [])
    ]


def test_metrics_have_every_batch_between_two_looks(
    slot: Slot, query: FakeQuery, metrics: EngineMetrics
) -> None:
    for batch in range(4):
        slot.took(written(batch), 1.0)
        query.made.append(made(batch, batch))

    slot.progressed()

    assert value(metrics, "k2_batches_total") == 4
    assert value(metrics, "k2_records_processed_total") == 8
    assert value(metrics, "k2_batch_processing_duration_seconds_count") == 4


def test_a_failure_is_counted_and_the_start_after_it(
    slot: Slot, stream: Stream, metrics: EngineMetrics
) -> None:
    slot.failed(FailedError("cannot write /h/checkpoints/bronze/v1/offsets"))
    assert value(metrics, "k2_stream_running") == 0

    slot.started(RunningStream(stream, FakeQuery(), None), again=True)  # type: ignore[arg-type]

    assert value(metrics, "k2_checkpoint_write_failures_total") == 1
    assert value(metrics, "k2_stream_restarts_total") == 1
    assert value(metrics, "k2_stream_running") == 1


def test_a_run_without_metrics_counts_and_logs_all_the_same(
    tmp_path: Path, stream: Stream, query: FakeQuery
) -> None:
    slot = Slot.of(stream, Settings.load(home=tmp_path), None)
    slot.started(RunningStream(stream, query, None), again=False)  # type: ignore[arg-type]

    slot.took(written(0), 1.0)
    slot.ended("stopped")

    assert (slot.taken, slot.given, slot.status.rows) == (2, 2, 2)
    assert slot.status.metrics_port is None


def test_a_password_in_an_error_is_not_written_to_the_status(slot):
    slot.failed(FailedError("http://reader:hunter2@registry:8081 does not answer"))

    assert slot.status.error == "http://***@registry:8081 does not answer"


def test_a_batch_that_was_handed_on_is_told_as_any_other(
    slot: Slot, metrics: EngineMetrics
) -> None:
    slot.ended("waiting")
    report = replace(written(0), progress=made(1, 0))

    with capture_logs() as logs:
        slot.handed(report, 1.0)
        slot.handed(replace(written(1), progress=made(2, 1)), 2.0)

    assert slot.status.state == "running"
    assert (slot.taken, slot.given) == (4, 4)
    assert [(line["batch_id"], line["read"]) for line in logs] == [
        (0, ["t-0@3..5"]),
        (1, ["t-0@3..5"]),
    ]
    assert value(metrics, "k2_stream_running") == 1
    assert value(metrics, "k2_batches_total") == 2
    assert value(metrics, "k2_batch_processing_duration_seconds_count") == 2


def test_a_query_that_has_taken_what_was_left_leaves_the_stream_running(slot: Slot) -> None:
    slot.level()

    assert slot.running is None
    assert slot.status.state == "running"

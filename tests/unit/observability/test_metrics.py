"""What streams report becomes the right samples, and the catalogue keeps its promises."""

import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from k2.bars.table import GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.errors import DataLossError, FailedError, StaleCheckpointError, UnavailableError
from k2.exchanges import EXCHANGES
from k2.gold.table import GOLD_TRADES
from k2.home.service_restarts import note_restart
from k2.observability.engine_metrics import EngineMetrics
from k2.observability.failure_kinds import FAILURE_KINDS, failure_kind
from k2.observability.kafka_lag import kafka_lag
from k2.observability.metrics import CATALOGUE, STREAM_LABELS, StreamMetrics
from k2.observability.recording import (
    LATE,
    record_batch,
    record_failure,
    record_progress,
    record_restart,
)
from k2.observability.scrapes import Scrape, ScrapeDelta
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.table import Layer
from k2.storage.writers.arrow import ArrowBatch, ArrowWriter
from k2.topology import stream_names

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Written:
    rows: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


@dataclass(frozen=True)
class Report:
    written: Written = Written()
    dead_letters: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    observed: dict[str, float] = field(default_factory=dict)
    output: ArrowBatch | None = None

    @property
    def rows(self) -> int:
        return self.written.rows + sum(self.dead_letters.values()) + self.duplicates


def metrics_of(layer: str, exchange: str | None = "binance") -> StreamMetrics:
    name = f"{layer}-{exchange}" if exchange else layer
    return StreamMetrics(
        name,
        exchange,
        layer,
        CollectorRegistry(),
        [f"{layer}_trades"],
        [e.name for e in EXCHANGES],
    )


def value(metrics: StreamMetrics, name: str, **labels: str) -> float | None:
    base = {
        "stream": metrics.stream,
        "layer": metrics.layer,
        "exchange": "all" if metrics.layer == "gold" else "binance",
    }
    return metrics.registry.get_sample_value(name, {**base, **labels})


def progress(**changes: Any) -> dict[str, Any]:
    """A progress as Spark 4.0.2 gives it, with Kafka as its source."""
    return {
        "runId": "fea34a39",
        "batchId": 5,
        "timestamp": "2026-03-01T12:00:00.001Z",
        "durationMs": {
            "addBatch": 119,
            "commitOffsets": 46,
            "triggerExecution": 211,
            "getBatch": 0,
        },
        "eventTime": {},
        "stateOperators": [],
        "numInputRows": 10,
        "sources": [
            {
                "startOffset": '{"t":{"0":3}}',
                "endOffset": '{"t":{"0":5,"1":0}}',
                "latestOffset": '{"t":{"0":9,"1":2}}',
                "metrics": {},
            }
        ],
        **changes,
    }


def test_a_batch_is_counted_with_all_that_became_of_its_records() -> None:
    metrics = metrics_of("silver")
    report = Report(Written(90, NOW - timedelta(seconds=4), NOW), {"decode": 3, "rule": 2}, 5)

    record_batch(metrics, report, NOW)

    assert value(metrics, "k2_records_processed_total") == 100
    assert value(metrics, "k2_rows_written_total") == 90
    assert value(metrics, "k2_dlq_records_total", error_type="decode") == 3
    assert value(metrics, "k2_dlq_records_total", error_type="schema") == 0
    assert value(metrics, "k2_dlq_records_total", error_type="rule") == 2
    assert value(metrics, "k2_duplicate_records_total") == 5
    assert value(metrics, "k2_last_commit_timestamp_seconds") == NOW.timestamp()


def test_latency_is_observed_of_every_record() -> None:
    metrics = metrics_of("gold", None)
    ages = [700.0] + [1.0] * 998 + [4.0]
    rows = pa.table(
        {
            "kafka_timestamp": pa.array(
                [NOW - timedelta(seconds=age) for age in ages], pa.timestamp("us", "UTC")
            )
        }
    )
    written = Written(1_000, NOW - timedelta(seconds=700), NOW - timedelta(seconds=1))
    output = ArrowBatch(ArrowWriter(Path("nowhere")), rows)

    record_batch(metrics, Report(written, output=output), NOW)

    assert value(metrics, "k2_e2e_latency_seconds_count") == 1_000
    assert value(metrics, "k2_e2e_latency_seconds_sum") == pytest.approx(sum(ages))
    assert value(metrics, "k2_e2e_latency_seconds_bucket", le="1.0") == 998
    assert value(metrics, "k2_e2e_latency_seconds_bucket", le="5.0") == 999
    assert value(metrics, "k2_e2e_latency_seconds_bucket", le="1800.0") == 1_000


def test_records_that_are_not_here_lie_evenly_between_oldest_and_newest() -> None:
    metrics = metrics_of("gold", None)
    written = Written(100, NOW - timedelta(seconds=10), NOW - timedelta(seconds=0.1))

    record_batch(metrics, Report(written), NOW)

    assert value(metrics, "k2_e2e_latency_seconds_count") == 100
    assert value(metrics, "k2_e2e_latency_seconds_bucket", le="5.0") == pytest.approx(50, abs=1)


def test_a_broker_ahead_of_our_clock_makes_no_negative_latency() -> None:
    metrics = metrics_of("bronze")
    ahead = NOW + timedelta(seconds=3)

    record_batch(metrics, Report(Written(1, ahead, ahead)), NOW)

    assert value(metrics, "k2_e2e_latency_seconds_sum") == 0


def test_a_batch_of_dead_letters_alone_has_no_latency_and_keeps_the_newest_time() -> None:
    metrics = metrics_of("silver")
    record_batch(metrics, Report(Written(1, NOW, NOW)), NOW)

    record_batch(metrics, Report(Written(), {"decode": 7}), NOW + timedelta(hours=1))

    assert value(metrics, "k2_e2e_latency_seconds_count") == 1
    assert value(metrics, "k2_newest_record_timestamp_seconds") == NOW.timestamp()


def test_late_trades_count_in_gold_and_hops_in_silver() -> None:
    gold, silver = metrics_of("gold", None), metrics_of("silver")

    record_batch(gold, Report(observed={LATE: 3}), NOW)
    record_batch(gold, Report(observed={LATE: 4}), NOW)
    ways = {"exchange_to_feed": 0.2, "feed_to_broker": -0.1}
    record_batch(silver, Report(observed=ways), NOW)

    assert value(gold, "k2_late_records_total") == 7
    assert value(silver, "k2_hop_latency_seconds_sum", hop="exchange_to_feed") == 0.2
    assert value(silver, "k2_hop_latency_seconds_sum", hop="feed_to_broker") == 0


def test_a_batch_without_a_trade_has_no_way_to_time() -> None:
    gold, silver = metrics_of("gold", None), metrics_of("silver")

    record_batch(gold, Report(), NOW)
    record_batch(silver, Report(), NOW)

    assert value(gold, "k2_late_records_total") == 0
    assert value(silver, "k2_hop_latency_seconds_count", hop="exchange_to_feed") == 0


def test_progress_gives_duration_phases_and_kafka_lag() -> None:
    metrics = metrics_of("bronze")

    record_progress(metrics, progress())

    assert value(metrics, "k2_batch_processing_duration_seconds_sum") == pytest.approx(0.211)
    assert value(metrics, "k2_batch_phase_seconds_total", phase="addBatch") == pytest.approx(0.119)
    assert value(metrics, "k2_kafka_lag_offsets") == 6


def test_an_idle_trigger_is_no_batch() -> None:
    metrics = metrics_of("bronze")

    record_progress(metrics, progress(durationMs={"latestOffset": 3, "triggerExecution": 3}))

    assert value(metrics, "k2_batch_processing_duration_seconds_count") == 0


def test_a_delta_source_gives_files_and_no_offsets() -> None:
    metrics = metrics_of("silver")
    source = {
        "endOffset": '{"sourceVersion":1,"reservoirVersion":7,"index":-1}',
        "latestOffset": None,
        "metrics": {"numFilesOutstanding": "3", "numBytesOutstanding": "99"},
    }

    record_progress(metrics, progress(sources=[source]))

    assert value(metrics, "k2_source_lag_files") == 3
    assert kafka_lag(source) == 0


@pytest.mark.parametrize(
    ("latest", "end", "lag"),
    [
        ({"t": {"0": 9}}, {"t": {"0": 4}}, 5),  # objects, as the JSON of the progress has them
        ('{"t":{"0":9}}', None, 9),  # before the first batch
        ('{"t":{"0":9}}', '{"t":{"0":12}}', 0),  # a stale latest offset is no negative lag
        ("17", "16", 0),  # a source that counts differently
        ("no json", None, 0),
        (None, None, 0),
    ],
)
def test_kafka_lag_reads_what_spark_writes(latest: Any, end: Any, lag: int) -> None:
    assert kafka_lag({"latestOffset": latest, "endOffset": end}) == lag


def test_the_epoch_is_no_watermark() -> None:
    metrics = metrics_of("gold", None)

    record_progress(metrics, progress(eventTime={"watermark": "1970-01-01T00:00:00.000Z"}))

    assert value(metrics, "k2_watermark_lag_seconds") == 0


def test_the_watermark_lags_by_the_clock_of_the_progress() -> None:
    metrics = metrics_of("gold", None)
    times = {"watermark": "2026-03-01T11:55:00.000Z", "avg": "2026-03-01T11:59:58.212Z"}

    record_progress(metrics, progress(eventTime=times))

    assert value(metrics, "k2_watermark_lag_seconds") == pytest.approx(300.212)
    assert value(metrics, "k2_event_age_seconds") == pytest.approx(2.0)


def test_state_is_summed_over_operators() -> None:
    metrics = metrics_of("gold", None)
    operators = [{"numRowsTotal": 3, "memoryUsedBytes": 10}, {"numRowsTotal": 4}]

    record_progress(metrics, progress(stateOperators=operators))

    assert value(metrics, "k2_state_rows") == 7
    assert value(metrics, "k2_state_bytes") == 10


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("java.lang.OutOfMemoryError: Java heap space", "memory"),
        (FailedError("Stream gold: the disk is full. Free space, then start again."), "disk"),
        ("java.io.FileNotFoundException: /h/checkpoints/gold/v1/commits/.7.tmp", "checkpoint"),
        ("mkdir of file:/h/checkpoint/offsets failed", "checkpoint"),
        (FailedError("Spark's JVM is gone, and all streams with it."), "jvm_gone"),
        (UnavailableError("The registry at http://r does not answer."), "registry"),
        (UnavailableError("Stream bronze-kraken: Kafka does not answer."), "kafka"),
        (UnavailableError("nothing answers"), "kafka"),
        (DataLossError("Kafka no longer has records"), "data_loss"),
        ("[KAFKA_DATA_LOSS] Some data may have been lost", "data_loss"),
        ("ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] Files were added", "other"),
        ("No space left on device\nCaused by: TimeoutException", "disk"),
        (StaleCheckpointError("Table gold has batch 4, the checkpoint …"), "contract"),
        ("ArithmeticException", "other"),
    ],
)
def test_a_failure_has_a_kind(error: Exception | str, kind: str) -> None:
    assert failure_kind(error) == kind
    assert kind in FAILURE_KINDS


def test_a_failed_checkpoint_write_stops_the_stream_and_counts_twice() -> None:
    metrics = metrics_of("bronze")
    record_restart(metrics)

    record_failure(metrics, "IOException: rename in /h/checkpoints/bronze/v1/offsets")

    assert value(metrics, "k2_checkpoint_write_failures_total") == 1
    assert value(metrics, "k2_batch_failures_total", kind="checkpoint") == 1
    assert value(metrics, "k2_batch_failures_total", kind="memory") == 0
    assert value(metrics, "k2_stream_running") == 0
    assert value(metrics, "k2_stream_restarts_total") == 1


@pytest.mark.performance
def test_a_batch_pays_less_than_a_fiftieth_for_its_metrics() -> None:
    metrics, batches = metrics_of("silver"), 200
    report = Report(Written(90, NOW, NOW), {"decode": 3}, 5)
    shortest_batch = 0.138  # seconds of CPU and clock, the least that was ever measured

    began = time.process_time()
    for _ in range(batches):
        record_batch(metrics, report, NOW)
        record_progress(metrics, progress())
    each = (time.process_time() - began) / batches

    assert each < 0.02 * shortest_batch


@dataclass(frozen=True)
class FakeStream:
    layer: Layer
    exchange: Any
    tables: tuple[Any, ...]
    called: str = ""
    port_offset: int = 0

    @property
    def metrics_kind(self) -> str:
        return "bars" if self.called else str(self.layer)

    @property
    def name(self) -> str:
        of_layer = f"{self.layer}-{self.exchange.name}" if self.exchange else str(self.layer)
        return self.called or of_layer

    def checkpoint(self, settings: Settings) -> Any:
        return settings.checkpoints / self.name / "v1"


def all_streams() -> list[FakeStream]:
    return [
        *(FakeStream(Layer.BRONZE, e, (bronze_trades(e),)) for e in EXCHANGES),
        *(
            FakeStream(Layer.SILVER, e, (silver_trades(e), duplicates(e), dead_letters(e)))
            for e in EXCHANGES
        ),
        FakeStream(Layer.GOLD, None, (GOLD_TRADES,)),
        FakeStream(Layer.GOLD, None, (GOLD_OHLCV,), "ohlcv"),
    ]


def exposition(metrics: EngineMetrics) -> str:
    return "".join(generate_latest(metrics[s.name].registry).decode() for s in all_streams())


def test_the_fake_streams_are_those_that_there_are(settings: Settings) -> None:
    assert [stream.name for stream in all_streams()] == stream_names()


def test_all_streams_in_one_process_have_fewer_than_500_series(settings: Settings) -> None:
    metrics = EngineMetrics(settings, all_streams())

    samples = [line for line in exposition(metrics).splitlines() if not line.startswith("#")]

    assert len(samples) < 500


def test_what_is_true_of_the_process_is_told_once(settings: Settings) -> None:
    text = exposition(EngineMetrics(settings, all_streams()))

    for name in (metric.name for metric in CATALOGUE if metric.once):
        streams = set(re.findall(rf'^{name}\{{.*stream="([^"]+)"', text, re.MULTILINE))
        assert len(streams) == 1


def test_a_process_of_one_stream_tells_of_its_machine_whatever_stream_it_is(
    settings: Settings,
) -> None:
    gold = next(stream for stream in all_streams() if stream.name == "gold")

    text = generate_latest(EngineMetrics(settings, [gold])["gold"].registry).decode()

    assert "k2_host_cpus{" in text


def test_bars_are_in_gold_and_have_no_trades_of_their_own(settings: Settings) -> None:
    metrics = EngineMetrics(settings, all_streams())["ohlcv"]

    assert metrics.layer == "gold"
    assert metrics.has("k2_e2e_latency_seconds")
    assert not metrics.has("k2_late_records_total")
    assert not metrics.has("k2_balance_difference_records")


def test_every_metric_of_the_catalogue_is_there_from_the_start(settings: Settings) -> None:
    text = exposition(EngineMetrics(settings, all_streams()))

    assert [m.name for m in CATALOGUE if f"\n{m.name}" not in text] == []


def test_every_sample_names_stream_exchange_and_layer(settings: Settings) -> None:
    text = exposition(EngineMetrics(settings, all_streams()))
    samples = [line for line in text.splitlines() if not line.startswith("#")]

    assert [s for s in samples if not all(f'{label}="' in s for label in STREAM_LABELS)] == []


def test_no_label_can_grow_with_the_data() -> None:
    labels = {label for metric in CATALOGUE for label in metric.labels}

    assert labels == {
        "error_type",
        "phase",
        "hop",
        "kind",
        "table",
        "of_exchange",
        "version",
        "spark",
        "service",
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(settings: Settings) -> None:
    metrics = EngineMetrics(settings, all_streams())

    for stream in all_streams():
        said = subprocess.run(
            ["promtool", "check", "metrics"],
            input=generate_latest(metrics[stream.name].registry),
            capture_output=True,
        )

        assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_a_service_that_was_started_again_counts_once_for_each_time(settings: Settings) -> None:
    settings.run.mkdir(parents=True)
    metrics = EngineMetrics(settings, all_streams())
    note_restart(settings, "kafka", -9)
    metrics.look()
    metrics.look()
    note_restart(settings, "kafka", -9)

    metrics.look()

    counted = re.findall(
        r'^k2_service_restarts_total\{.*service="(\w+)".*\} (\S+)$', exposition(metrics), re.M
    )
    assert dict(counted) == {
        **{"kafka": "2.0", "registry": "0.0", "prometheus": "0.0", "alertmanager": "0.0"}
    }


def test_usual_latencies_are_told_apart() -> None:
    metrics = metrics_of("gold", None)
    for latency in range(500, 1_500, 10):
        metrics.observe("k2_e2e_latency_seconds", latency / 1000)

    page = generate_latest(metrics.registry).decode()
    change = ScrapeDelta(Scrape(0.0), Scrape.of(60.0, [page]))

    for share, seconds in ((0.5, 1.0), (0.99, 1.49)):
        found = change.quantile(share, "k2_e2e_latency_seconds")
        assert found == pytest.approx(seconds, abs=0.5)

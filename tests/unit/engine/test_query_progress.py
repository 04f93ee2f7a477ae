"""Every progress of a query is taken in once, however often and however late one looks."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql.streaming.listener import StreamingQueryProgress

from k2.engine.query_progress import ProgressReader, is_batch
from k2.observability.kafka_lag import kafka_lag
from k2.observability.offset_ranges import offset_ranges
from tests.support.query_progress import FakeQuery, progress


def batches(found: list[Mapping[str, Any]]) -> list[int]:
    return [each["batchId"] for each in found]


def test_a_query_that_has_not_begun_has_none() -> None:
    assert ProgressReader(FakeQuery()).new() == []


def test_a_progress_is_given_once() -> None:
    reader = ProgressReader(FakeQuery([progress(1, 0)]))

    assert batches(reader.new()) == [0]
    assert reader.new() == []


def test_batches_between_two_looks_are_not_missed() -> None:
    query = FakeQuery([progress(1, 0)])
    reader = ProgressReader(query)
    reader.new()

    query.made += [progress(2, 1), progress(3, 2), progress(4, 3)]

    assert batches(reader.new()) == [1, 2, 3]


def test_a_batch_after_an_idle_trigger_of_the_same_number_is_not_missed() -> None:
    query = FakeQuery([progress(1, 0), progress(2, 1, idle=True)])
    reader = ProgressReader(query)
    reader.new()

    query.made += [progress(3, 1), progress(4, 2)]

    found = reader.new()
    assert [(each["batchId"], is_batch(each)) for each in found] == [(1, True), (2, True)]


def test_offsets_are_as_spark_wrote_them_and_not_as_pyspark_prints_them() -> None:
    source = {
        "description": "KafkaV2[Subscribe[t]]",
        "startOffset": {"t": {"0": 3}},
        "endOffset": {"t": {"0": 5}},
        "latestOffset": {"t": {"0": 9}},
        "numInputRows": 2,
        "inputRowsPerSecond": 1.0,
        "processedRowsPerSecond": 1.0,
        "metrics": {},
    }
    written = {
        **progress(1, 0),
        "id": "8c3e0a2e-0f8a-4f6e-9a53-0d6d6c1f9b11",
        "runId": "8c3e0a2e-0f8a-4f6e-9a53-0d6d6c1f9b12",
        "name": "bronze-binance",
        "batchDuration": 2,
        "stateOperators": [],
        "sources": [source],
        "sink": {"description": "ForeachBatchSink", "numOutputRows": -1, "metrics": {}},
        "observedMetrics": {"k2": {"late": 4}},
    }

    (found,) = ProgressReader(FakeQuery([StreamingQueryProgress.fromJson(written)])).new()

    assert kafka_lag(found["sources"][0]) == 4
    assert offset_ranges(found) == ["t-0@3..5"]
    assert found["observedMetrics"] == {"k2": {"late": 4}}


def test_a_query_that_keeps_pace_is_asked_for_its_last_alone() -> None:
    query = FakeQuery([progress(1, 0)])
    reader = ProgressReader(query)
    reader.new()
    query.looks = 0

    for second in range(2, 10):
        query.made.append(progress(second, second - 1))
        assert batches(reader.new()) == [second - 1]

    assert query.looks == 0

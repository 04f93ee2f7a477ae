"""Every progress of a query is taken in once, however often and however late one looks."""

from collections.abc import Mapping
from typing import Any

from k2.engine.query_progress import ProgressReader, is_batch
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


def test_a_query_that_keeps_pace_is_asked_for_its_last_alone() -> None:
    query = FakeQuery([progress(1, 0)])
    reader = ProgressReader(query)
    reader.new()
    query.read = 0

    for second in range(2, 10):
        query.made.append(progress(second, second - 1))
        assert batches(reader.new()) == [second - 1]

    assert query.read == 8


def test_of_a_hundred_reports_only_those_are_read_that_were_missed() -> None:
    query = FakeQuery([progress(second, second) for second in range(50)])
    reader = ProgressReader(query)
    reader.new()
    query.read = 0

    query.made += [progress(50, 50), progress(51, 51)]

    assert batches(reader.new()) == [50, 51]
    assert query.read == 4  # the last one, both, and the one before them

"""What is counted along with a batch, by a query and by one who is handed it."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pyspark.sql import Observation

from k2.streams import observed
from k2.streams.observed import STATIONS, hops, with_hops

pytestmark = pytest.mark.unit

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SCHEMA = pa.schema([(name, pa.timestamp("us", tz="UTC")) for name in STATIONS])


def row(at_kafka, on_the_way=0.0, waiting=0.0):
    """A record that Kafka had so many seconds after noon; how long it was under way before."""
    kafka = NOON + timedelta(seconds=at_kafka)
    sent = kafka - timedelta(seconds=waiting)
    return {
        "timestamp": sent - timedelta(seconds=on_the_way),
        "ingestion_timestamp": sent,
        "kafka_timestamp": kafka,
    }


def batch(*rows):
    return pa.Table.from_pylist(list(rows), SCHEMA)


DEAD_LETTER = {"kafka_timestamp": NOON + timedelta(seconds=9)}


@pytest.fixture
def asked(spark, monkeypatch):
    """What a query counts of a batch."""

    def ask(rows):
        observation = Observation()
        monkeypatch.setattr(observed, "OBSERVED", observation)
        with_hops(spark.createDataFrame(rows)).collect()
        return {hop: value for hop, value in observation.get.items() if value is not None}

    return ask


@pytest.mark.parametrize(
    "rows",
    [
        batch(row(1, 0.25, 0.5), row(3, 0.125, 2.5), row(2, 60, 70)),
        batch(row(1, 0.25, 0.5), DEAD_LETTER),
        batch(row(1, -0.25, 0.5)),
        batch(DEAD_LETTER),
    ],
    ids=["the-newest-counts", "dead-letters-do-not", "a-clock-that-is-ahead", "no-trade"],
)
def test_a_batch_handed_on_is_timed_as_a_query_times_it(asked, rows):
    assert hops(rows) == asked(rows)


def test_the_way_of_the_newest_trade_is_told_in_seconds():
    of_the_newest = hops(batch(row(3, 0.125, 2.5), row(1, 60, 70)))

    assert list(of_the_newest.values()) == [0.125, 2.5]


def test_a_batch_without_rows_tells_no_way():
    assert hops(batch()) == {}

"""The way of a batch's newest trade to Kafka is timed, hop by hop."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from k2.observability.hop_latencies import HOP_TIMESTAMPS, hop_latencies

pytestmark = pytest.mark.unit

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SCHEMA = pa.schema([(name, pa.timestamp("us", tz="UTC")) for name in HOP_TIMESTAMPS])


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


@pytest.mark.parametrize(
    ("rows", "ways"),
    [
        (batch(row(1, 0.25, 0.5), row(3, 0.125, 2.5), row(2, 60, 70)), [0.125, 2.5]),
        (batch(row(1, 0.25, 0.5), DEAD_LETTER), [0.25, 0.5]),
        (batch(row(1, -0.25, 0.5)), [-0.25, 0.5]),
        (batch(DEAD_LETTER), []),
        (batch(), []),
    ],
    ids=["the-newest-counts", "dead-letters-do-not", "a-clock-ahead", "no-trade", "no-rows"],
)
def test_the_way_of_the_newest_trade_is_timed(rows, ways):
    assert list(hop_latencies(rows).values()) == ways

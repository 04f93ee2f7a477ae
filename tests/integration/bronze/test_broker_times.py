"""Records whose timestamps are in other units than Kafka's reach Bronze, and what comes after them too."""

import pytest

from k2.avro.broker_times import MARK
from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from tests.support.lake import WRITERS, Lake
from tests.support.topic import Topic
from tests.support.trades import TRADE_SECONDS

pytestmark = pytest.mark.integration

NOW = TRADE_SECONDS * 1000
ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}


@pytest.mark.parametrize("kind", WRITERS)
def test_any_unit_is_kept_or_marked_and_stops_nothing(spark, settings, stack, kind):
    topic = Topic(stack.kafka, **ANY_TIME)
    lake = Lake(spark, settings, kind)
    units = {b"ms": NOW, b"us": NOW * 1000, b"ns": NOW * 1_000_000, b"again ms": NOW}
    for value, timestamp in units.items():
        topic.send(value, timestamp=timestamp)

    lake.run(bronze_stream(topic.exchange, settings, lake.writer(), stack.kafka))

    found = lake.rows(bronze_trades(topic.exchange))
    assert [row["value"] for row in found] == list(units)
    assert [row["kafka_timestamp"].year for row in found] == [2026, 9999, 9999, 2026]
    marks = [{h["key"]: h["value"] for h in row["headers"] or ()}.get(MARK) for row in found]
    assert marks == [None, b"%d" % (NOW * 1000), b"%d" % (NOW * 1_000_000), None]

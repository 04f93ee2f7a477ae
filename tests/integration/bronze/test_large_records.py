"""Batches are limited by bytes too, and one that was too much is taken in smaller parts."""

import pytest

from k2.bronze.batch_limit import BatchLimit
from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.bronze.topic_progress import bronze_checkpoint
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog
from tests.support.lake import Lake
from tests.support.topic import Topic

pytestmark = pytest.mark.integration

LARGE = bytes(64 * 1024)


@pytest.fixture
def topic(stack):
    """A topic of 1,000 records of 64 KiB and 10 small ones behind them."""
    topic = Topic(stack.kafka)
    topic.send(*[LARGE] * 1_000, *[b"good"] * 10)
    return topic


def test_a_batch_takes_about_the_bytes_that_the_settings_allow(spark, settings, topic):
    settings = Settings.load(home=settings.home, max_kafka_bytes_per_batch=16_000_000)
    lake = Lake(spark, settings)

    reports = lake.run(bronze_stream(topic.exchange, settings, lake.writer(), topic.bootstrap))

    assert max(report.rows for report in reports) * len(LARGE) < 2 * 16_000_000
    found = lake.rows(bronze_trades(topic.exchange))
    assert [row["offset"] for row in found] == list(range(1_010))
    assert [row["value"] for row in found[-10:]] == [b"good"] * 10


def test_a_batch_that_was_planned_too_large_and_never_written_is_taken_in_parts(
    spark, settings, topic
):
    settings = Settings.load(home=settings.home, max_kafka_bytes_per_batch=16_000_000)
    lake = Lake(spark, settings)
    plan = f'{{"{topic.name}":{{"0":1010}}}}'
    OffsetLog(bronze_checkpoint(settings, topic.exchange)).plan(0, (plan,), 0, 0)

    reports = lake.run(bronze_stream(topic.exchange, settings, lake.writer(), topic.bootstrap))

    assert len(reports) > 2
    assert reports[0].batch_id == 0
    offsets = [row["offset"] for row in lake.rows(bronze_trades(topic.exchange))]
    assert offsets == list(range(1_010))


def test_a_batch_that_dies_again_is_taken_in_ever_smaller_parts(settings, topic):
    settings = Settings.load(home=settings.home, max_kafka_bytes_per_batch=10**12)
    checkpoint = bronze_checkpoint(settings, topic.exchange)
    limit = BatchLimit(settings, checkpoint, topic.name, topic.bootstrap)
    log, limits = OffsetLog(checkpoint), []

    for _ in range(4):
        end = min([1_010, *limits])
        log.plan(0, (f'{{"{topic.name}":{{"0":{end}}}}}',), 0, 0)
        limits.append(limit.records(written=None))

    assert limits == [1_010, 126, 64, 64]
    assert limit.records(written=0) == 64  # until all that the batch was to read is read

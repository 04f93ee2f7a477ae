"""Topics whose offsets do not all hold a record: transactions, compaction, retention."""

import pytest

from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.bronze.topic_progress import unread_records
from k2.connectors.committed_reader import CommittedReader
from k2.quality.balance import balance
from k2.storage.delta import open_table
from tests.support.home import wait_until
from tests.support.lake import Lake
from tests.support.topic import Topic
from tests.support.trades import TRADE_SECONDS

pytestmark = pytest.mark.integration

# A segment for every few records, so that there is something to compact.
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "100",
}


@pytest.fixture
def lake(spark, settings):
    return Lake(spark, settings)


def run(lake, topic):
    lake.run(bronze_stream(topic.exchange, lake.settings, lake.writer(), topic.bootstrap))
    return [row["value"] for row in lake.rows(bronze_trades(topic.exchange))]


def account(lake, topic, ask_kafka=True):
    reader = CommittedReader(topic.bootstrap) if ask_kafka else None
    (found,) = balance(lake.settings, [topic.exchange], reader)
    return found


def unread(lake, topic):
    return unread_records(lake.settings, topic.exchange, topic.bootstrap)


def test_only_what_was_committed_is_read_and_markers_are_no_difference(lake, stack):
    topic = Topic(stack.kafka)
    topic.send_in_transaction(*[b"first"] * 5)
    topic.send_in_transaction(*[b"aborted"] * 7, commit=False)
    topic.send_in_transaction(*[b"second"] * 5)

    values = run(lake, topic)

    assert values == [b"first"] * 5 + [b"second"] * 5
    assert unread(lake, topic) == 0
    found = account(lake, topic)
    assert (found.balanced, found.kafka, found.bronze, found.unproven) == (True, 10, 10, 0)
    # It was looked at once: the tables alone prove it now.
    assert account(lake, topic, ask_kafka=False).balanced


def test_a_topic_with_plain_records_among_transactions_is_read_to_its_end(lake, stack):
    topic = Topic(stack.kafka)
    topic.send(b"a")
    topic.send_in_transaction(b"b")
    run(lake, topic)
    topic.send(b"c")
    topic.send_in_transaction(b"no", commit=False)

    values = run(lake, topic)

    assert values == [b"a", b"b", b"c"]
    assert unread(lake, topic) == 0
    assert account(lake, topic).balanced


def test_a_topic_of_aborted_transactions_alone_leaves_no_backlog(lake, stack):
    topic = Topic(stack.kafka)
    topic.send_in_transaction(b"no", commit=False)

    assert run(lake, topic) == []

    assert unread(lake, topic) == 0
    assert account(lake, topic).balanced


def test_a_record_that_bronze_lost_is_found_among_markers(lake, stack):
    topic = Topic(stack.kafka)
    for value in (b"a", b"b", b"c"):
        topic.send_in_transaction(value)
    run(lake, topic)

    table = open_table(lake.settings.lake, bronze_trades(topic.exchange))
    table.delete('"offset" = 2')

    (difference,) = account(lake, topic).differences
    assert (difference.what, difference.records) == (
        "in Kafka, but not in Bronze",
        [f"{topic.name}-0@2"],
    )


def test_a_compacted_topic_is_read_to_its_end_and_balances(lake, stack):
    topic = Topic(stack.kafka, **COMPACTED)
    for second in range(20):  # each in a segment of its own, by its timestamp
        at = (TRADE_SECONDS + second) * 1000
        topic.send(b"%d" % second, key=b"the same", timestamp=at)

    def given():
        return list(CommittedReader(stack.kafka).committed_offsets(topic.name, 0, 0, 20))

    wait_until(lambda: len(given()) < 20, 60)

    values = run(lake, topic)

    left = given()
    assert values == [b"%d" % offset for offset in left]
    assert unread(lake, topic) == 0
    found = account(lake, topic)
    assert (found.balanced, found.kafka) == (True, len(left))


def test_what_was_deleted_before_bronze_began_is_no_backlog_and_no_difference(lake, stack):
    topic = Topic(stack.kafka)
    topic.send(*[b"old"] * 50)
    topic.delete_records(before=50)
    topic.send(b"new")

    assert unread(lake, topic) == 1
    assert run(lake, topic) == [b"new"]

    assert unread(lake, topic) == 0
    found = account(lake, topic)
    assert (found.balanced, found.kafka) == (True, 1)

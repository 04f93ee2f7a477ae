"""The Bronze stream against a real Kafka: every record once, every byte untouched."""

import shutil
from datetime import UTC, datetime

import pytest

from k2.bronze.processor import bronze_stream
from k2.bronze.table import bronze_trades
from k2.errors import DataLossError, FailedError, StaleCheckpointError
from k2.settings import Settings
from k2.storage.delta import table_path
from tests.support.lake import WRITERS, Lake
from tests.support.topic import Topic
from tests.support.trades import framed, kraken_raw

pytestmark = pytest.mark.integration

GOOD = framed(kraken_raw())


@pytest.fixture
def topic(stack):
    return Topic(stack.kafka)


@pytest.fixture
def lake(spark, settings):
    return Lake(spark, settings)


def bronze(lake, topic, **changes):
    """The stream as a process that has just started builds it."""
    settings = Settings.load(home=lake.settings.home, **changes)
    return bronze_stream(topic.exchange, settings, lake.writer(), topic.bootstrap)


def rows(lake, topic):
    return lake.rows(bronze_trades(topic.exchange))


def values(lake, topic):
    return [row["value"] for row in rows(lake, topic)]


@pytest.mark.parametrize("kind", WRITERS)
def test_every_byte_of_a_record_is_kept(spark, settings, topic, kind):
    lake = Lake(spark, settings, kind)
    megabyte = bytes(range(256)) * 4096
    sent = [None, b"", megabyte, b"\xff\xfe not Avro", b'{"json": 1}', GOOD]
    topic.send(*sent)

    lake.run(bronze(lake, topic))

    found = rows(lake, topic)
    assert [row["value"] for row in found] == sent
    assert [row["offset"] for row in found] == list(range(6))
    assert [row["schema_id"] for row in found] == [None, None, 0x01020304, None, None, 3]
    assert {(row["topic"], row["partition"], row["key"]) for row in found} == {
        (topic.name, 0, None)
    }


def test_keys_headers_and_times_are_kept(lake, topic):
    headers = [("trace", b"\x00\xff"), ("trace", b"again"), ("none", None), ("", b"")]
    before = datetime.now(UTC)
    topic.send(b"x", key=b"\xff\x00", headers=headers)
    topic.send(b"y", key=b"")

    lake.run(bronze(lake, topic))

    first, second = rows(lake, topic)
    assert (first["key"], second["key"]) == (b"\xff\x00", b"")
    assert [(header["key"], header["value"]) for header in first["headers"]] == headers
    assert not second["headers"]
    # The broker's clock tells milliseconds.
    assert before.replace(microsecond=0) <= first["kafka_timestamp"] <= first["ingested_at"]
    assert first["ingest_date"] == first["kafka_timestamp"].date()


def test_all_partitions_are_read_from_their_first_record(lake, stack):
    topic = Topic(stack.kafka, partitions=3)
    for partition in range(3):
        topic.send(b"a", b"b", partition=partition)

    lake.run(bronze(lake, topic))

    assert [(row["partition"], row["offset"]) for row in rows(lake, topic)] == [
        (partition, offset) for partition in range(3) for offset in range(2)
    ]


def test_a_second_run_reads_what_is_new_and_nothing_else(lake, topic):
    topic.send(b"a", b"b")
    lake.run(bronze(lake, topic))
    assert lake.run(bronze(lake, topic)) == []

    topic.send(b"c")
    lake.run(bronze(lake, topic))

    assert values(lake, topic) == [b"a", b"b", b"c"]


def test_a_batch_has_no_more_records_than_the_settings_allow(lake, topic):
    topic.send(*(b"%d" % number for number in range(25)))

    reports = lake.run(bronze(lake, topic, max_records_per_batch=10))

    assert [report.rows for report in reports] == [10, 10, 5]
    assert len(rows(lake, topic)) == 25


def test_a_batch_whose_commit_was_lost_is_there_once(lake, topic):
    topic.send(b"a", b"b")
    lake.run(bronze(lake, topic))
    first = rows(lake, topic)

    batch = lake.forget_last_commit(bronze(lake, topic))
    topic.send(b"c")
    reports = lake.run(bronze(lake, topic))

    assert [report.batch_id for report in reports] == [batch, batch + 1]
    assert values(lake, topic) == [b"a", b"b", b"c"]
    assert rows(lake, topic)[:2] == first


def test_a_crash_after_the_write_leaves_each_record_once(lake, topic):
    topic.send(b"a", b"b")
    lake.crash_after = 1
    with pytest.raises(FailedError, match="Crash"):
        lake.run(bronze(lake, topic))
    assert values(lake, topic) == [b"a", b"b"]

    lake.run(bronze(lake, topic))

    assert values(lake, topic) == [b"a", b"b"]


def test_a_wiped_checkpoint_refuses_to_start_while_the_table_is_there(lake, topic):
    topic.send(b"a")
    stream = bronze(lake, topic)
    lake.run(stream)
    checkpoint = stream.checkpoint(lake.settings)
    checkpoint.rename(checkpoint.with_name("gone"))

    with pytest.raises(StaleCheckpointError, match="has batch 0"):
        lake.run(bronze(lake, topic))


def test_records_that_were_deleted_before_they_were_read_are_data_loss(lake, topic):
    topic.send(b"a")
    lake.run(bronze(lake, topic))
    topic.send(b"b", b"c", b"d")
    topic.delete_records(before=3)

    with pytest.raises(DataLossError, match=topic.exchange.name):
        lake.run(bronze(lake, topic))

    assert values(lake, topic) == [b"a"]


def test_records_that_were_deleted_after_they_were_read_are_no_loss(lake, topic):
    topic.send(b"a", b"b")
    lake.run(bronze(lake, topic))
    topic.delete_records(before=2)

    topic.send(b"c")
    lake.run(bronze(lake, topic))

    assert values(lake, topic) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("sent", [1, 3, 9])
def test_a_topic_made_anew_is_data_loss_also_when_it_has_grown_past(lake, topic, sent):
    topic.send(b"a", b"b", b"c")
    lake.run(bronze(lake, topic))
    topic.delete()
    topic.create()
    topic.send(*[b"x"] * sent)

    with pytest.raises(DataLossError, match="deleted and made anew") as refused:
        lake.run(bronze(lake, topic))

    assert topic.name in str(refused.value)
    assert values(lake, topic) == [b"a", b"b", b"c"]


def test_a_checkpoint_of_before_topic_ids_were_kept_takes_the_topic_that_there_is(lake, topic):
    topic.send(b"a")
    stream = bronze(lake, topic)
    lake.run(stream)
    (stream.checkpoint(lake.settings) / "topic.json").unlink()

    topic.send(b"b")
    lake.run(bronze(lake, topic))

    assert values(lake, topic) == [b"a", b"b"]
    assert (stream.checkpoint(lake.settings) / "topic.json").exists()


def test_a_table_put_back_from_an_older_copy_refuses_to_start(lake, topic, tmp_path):
    topic.send(b"a")
    lake.run(bronze(lake, topic))
    folder = table_path(lake.settings.lake, bronze_trades(topic.exchange))
    shutil.copytree(folder, tmp_path / "backup")
    topic.send(b"b")
    lake.run(bronze(lake, topic))
    shutil.rmtree(folder)
    (tmp_path / "backup").rename(folder)

    with pytest.raises(StaleCheckpointError, match="older copy"):
        lake.run(bronze(lake, topic))

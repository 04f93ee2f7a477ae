"""What Bronze has still to read of a topic, and which topic it has read."""

import pytest

from k2.bronze import topic_identity, topic_progress
from k2.bronze.topic_identity import TopicIdentity, kept_topic_id
from k2.bronze.topic_progress import bronze_checkpoint, unread_records, unread_up_to
from k2.errors import DataLossError
from k2.exchanges.kraken import KRAKEN
from k2.storage.checkpoints.offset_log import OffsetLog

pytestmark = pytest.mark.unit

TOPIC = KRAKEN.topic


@pytest.mark.parametrize(
    ("marks", "read", "unread"),
    [
        ({}, None, 0),
        ({0: (0, 10)}, None, 10),
        ({0: (4, 10)}, None, 6),
        ({0: (4, 10)}, {0: (0, 7)}, 3),
        ({0: (0, 10), 1: (0, 5)}, {0: (0, 10)}, 5),
        ({0: (0, 3)}, {0: (0, 7)}, 0),
    ],
    ids=[
        "no partition",
        "nothing read",
        "some deleted before the first batch",
        "some read",
        "a new partition",
        "a topic that is shorter than what was read",
    ],
)
def test_what_is_unread_is_what_lies_above_the_last_batch(marks, read, unread):
    assert unread_up_to(marks, read) == unread


def test_only_what_is_committed_has_been_read(settings, monkeypatch):
    monkeypatch.setattr(topic_progress, "watermarks", lambda *_: {0: (0, 10)})
    log = OffsetLog(bronze_checkpoint(settings, KRAKEN))
    for batch, end in enumerate((4, 9)):
        log.plan(batch, (f'{{"{TOPIC}":{{"0":{end}}}}}',), 0, 0)
    log.commit(0, 0)

    assert unread_records(settings, KRAKEN, "kafka") == 6


@pytest.fixture
def topic(tmp_path, monkeypatch):
    """The topic of a checkpoint, whose id is that of the last call."""
    ids = []
    monkeypatch.setattr(topic_identity, "topic_id", lambda *_: ids[-1])
    identity = TopicIdentity(tmp_path, "kafka", TOPIC)

    def check(found):
        ids.append(found)
        identity.check()

    return check


def test_the_first_topic_is_kept(topic, tmp_path):
    topic("an-id")

    assert kept_topic_id(tmp_path) == "an-id"


def test_the_same_topic_may_be_read_on(topic, tmp_path):
    topic("an-id")
    topic("an-id")

    assert kept_topic_id(tmp_path) == "an-id"


def test_a_topic_of_the_same_name_that_was_made_anew_is_refused(topic, tmp_path):
    topic("an-id")

    with pytest.raises(DataLossError, match=r"its id was an-id .* is another-id"):
        topic("another-id")

    assert kept_topic_id(tmp_path) == "an-id"


def test_a_topic_that_is_not_there_says_nothing(topic, tmp_path):
    topic(None)

    assert kept_topic_id(tmp_path) is None

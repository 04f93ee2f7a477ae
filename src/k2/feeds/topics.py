"""The topics that a feed needs before it sends."""

from k2.connectors.kafka import MAX_MESSAGE_BYTES, ensure_topics
from k2.exchanges import Exchange
from k2.feeds.live.journal import EVENTS_TOPIC
from k2.home.endpoints import Endpoints


def prepare_topics(endpoints: Endpoints, exchange: Exchange, partitions: int) -> None:
    """Create the topics of an exchange's raw trades and of its rejected messages."""
    ensure_topics(endpoints.kafka, [exchange.topic], partitions)
    whole_messages = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    ensure_topics(endpoints.kafka, [exchange.rejected_topic], 1, config=whole_messages)


def prepare_events_topic(endpoints: Endpoints) -> None:
    """Create the topic of what happens to feeds, and of what recordings lack."""
    ensure_topics(endpoints.kafka, [EVENTS_TOPIC], 1)

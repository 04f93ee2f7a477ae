"""Tell whether a topic is the one that Bronze has read, or another topic of the same name.

Kafka gives each topic an id when it is created. A topic that was deleted and created again counts its offsets
from 0; once it has grown past the old end, offsets alone cannot show that it is another topic.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

from k2.connectors.kafka import topic_id
from k2.errors import DataLossError
from k2.storage.checkpoints.offset_log import newest, write_lines

_FILE = "topic.json"  # beside the checkpoint's own folders


def kept_topic_id(checkpoint: Path) -> str | None:
    """Return the id of the topic that a checkpoint is of; None when it was never noted."""
    try:
        said = orjson.loads((checkpoint / _FILE).read_bytes())
    except FileNotFoundError:
        return None
    return str(said["topic_id"])


@dataclass(frozen=True)
class TopicIdentity:
    """The id of a topic, kept beside the checkpoint of the stream that reads it."""

    checkpoint: Path
    bootstrap: str
    topic: str

    def check(self) -> None:
        """Compare the topic's id with the one that is kept; keep it if there is none.

        Raises:
            DataLossError: the topic was deleted and created again.
            UnavailableError: Kafka does not answer.
        """
        found = topic_id(self.bootstrap, self.topic)
        if found is None:
            return  # no topic, which Spark says; or a broker that gives no ids
        kept = kept_topic_id(self.checkpoint)
        if kept is None:
            # A checkpoint of an older K2: what it has read is taken to be this topic.
            said = orjson.dumps({"topic": self.topic, "topic_id": found}).decode()
            write_lines(self.checkpoint / _FILE, [said])
        elif kept != found:
            batch = newest(self.checkpoint / "commits")
            raise DataLossError(
                f"Topic {self.topic} was deleted and made anew: its id was {kept} when Bronze read it"
                f" (up to batch {batch}), and is {found}. Its offsets name other records than those in"
                " the tables. Give the new topic's records a name of their own, or read them into an"
                " empty K2_HOME."
            )

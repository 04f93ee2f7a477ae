"""Which rows a step of the pipeline must have read: all that were upstream at one moment, and none that came later."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k2.bronze.topic_progress import Watermarks, unread_up_to
from k2.connectors.kafka import watermarks
from k2.engine.stream import Stream
from k2.exchanges import Exchange
from k2.settings import Settings
from k2.storage.checkpoints.kafka_offsets import committed_ranges
from k2.storage.checkpoints.unread import files_added, unread_from
from k2.storage.delta import open_table, row_count, table_path

KafkaEnds = Mapping[str, Watermarks]  # by topic


def kafka_ends(bootstrap: str, exchanges: Iterable[Exchange]) -> KafkaEnds:
    """Return how far the topics of some exchanges reach.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    return {exchange.topic: watermarks(bootstrap, exchange.topic) for exchange in exchanges}


@dataclass(frozen=True)
class _TableGoal:
    """A table as it is now, to be read by a stream to this version."""

    checkpoint: Path
    folder: Path
    table_id: str
    version: int
    rows: int

    def rows_left(self) -> int:
        unread = unread_from(self.checkpoint, self.table_id)
        if not unread:
            return self.rows
        added = files_added(self.folder, unread, self.version)
        # The log is only shortened by what its readers have read.
        return sum(file.rows for file in added or ())


@dataclass(frozen=True)
class _TopicGoal:
    """A topic's end at a moment, to be read by Bronze."""

    checkpoint: Path
    topic: str
    marks: Watermarks

    def rows_left(self) -> int:
        return unread_up_to(self.marks, committed_ranges(self.checkpoint, self.topic))


@dataclass(frozen=True)
class StepGoal:
    """What the streams of one step have to take."""

    parts: Sequence[_TableGoal | _TopicGoal] = field(default_factory=tuple)

    def rows_left(self) -> int:
        """Return how many rows are still to take; for Bronze they are offsets."""
        return sum(part.rows_left() for part in self.parts)


def step_goal(settings: Settings, streams: Iterable[Stream], ends: KafkaEnds) -> StepGoal:
    """Return the goal of streams: what is in the tables that they read now, or ``ends`` for a topic."""
    parts: list[_TableGoal | _TopicGoal] = []
    for stream in streams:
        checkpoint = stream.checkpoint(settings)
        if stream.unread is not None and stream.exchange is not None:
            topic = stream.exchange.topic
            parts.append(_TopicGoal(checkpoint, topic, ends.get(topic, {})))
        for table in stream.reads:
            if (stored := open_table(settings.lake, table)) is not None:
                folder = table_path(settings.lake, table)
                facts = (str(stored.metadata().id), stored.version(), row_count(stored))
                parts.append(_TableGoal(checkpoint, folder, *facts))
    return StepGoal(parts)

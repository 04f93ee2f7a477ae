"""Limit how many records a Bronze batch reads: fewer where records are large, and fewer after a crash.

Spark's Kafka source limits a batch by records alone, and plans it before it knows how large they are.
So K2 samples the sizes of some records when a query starts, and starts a query again when its records turn
out to be of another size. A batch that was planned and never written is planned again when it is too large:
no table has any of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from k2.bronze.topic_progress import Watermarks
from k2.connectors.committed_reader import CommittedReader
from k2.errors import UnavailableError
from k2.settings import Settings
from k2.storage.checkpoints.kafka_offsets import first_offsets, planned_ends
from k2.storage.checkpoints.offset_log import newest, remove_file, write_lines

log = structlog.get_logger("k2.bronze")

_FILE = "attempts.json"  # beside the checkpoint's own folders
_SMALLER = 8  # times, at each start after a death
_FEWEST = 64  # records, whatever killed the batches before; large ones are known by their size
_LOOK_FROM = 32  # records that wait; fewer are taken without a look
_SAMPLES = 12  # of each partition
# Of the bytes that a batch may take: a full batch of more, or of less, makes the query start again.
_TOO_MANY, _TOO_FEW = 4.0, 1 / 16
_FEWEST_OBSERVED = 16  # records of a batch, by which others are judged


@dataclass
class BatchLimit:
    """The limit of one stream; ``written`` is the newest batch that its table has."""

    settings: Settings
    checkpoint: Path
    topic: str
    bootstrap: str
    _limit: int | None = None  # of the query that runs
    _size: float | None = None  # a record's mean, in the batch that made the query start again

    def records(self, written: int | None) -> int:
        """Return the limit for the next batches, and delete a planned batch that is above it.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        self._limit = self._find_limit(written)
        return self._limit

    def observe(self, rows: int, nbytes: int) -> None:
        """Take in a batch that was written; 0 bytes are no knowledge.

        Raises:
            UnavailableError: full batches of such records would have far more or far fewer bytes than
                a batch may have. Started again, the query has the limit for them.
        """
        if self._limit is None or rows < min(_FEWEST_OBSERVED, self._limit) or not nbytes:
            return
        size, allowed = nbytes / rows, self.settings.max_kafka_bytes_per_batch
        is_full = rows > 0.9 * self._limit and self._limit < self.settings.max_records_per_batch
        is_full = is_full and self._limit_after_death() is None
        full = size * self._limit / allowed
        if (full > _TOO_MANY and self._limit > 1) or (full < _TOO_FEW and is_full):
            self._size = size
            limit = self._limit_for(size)
            log.info("batch_limit_changed", topic=self.topic, records=limit, record_bytes=int(size))
            raise UnavailableError(
                f"Records of {self.topic} have {size:,.0f} bytes now; batches have {limit:,} at most."
            )

    def _limit_for(self, size: float) -> int:
        most = self.settings.max_records_per_batch
        return min(most, max(int(self.settings.max_kafka_bytes_per_batch / size), 1))

    def _find_limit(self, written: int | None) -> int:
        most = self._limit_for(self._size or 1.0)
        reader = CommittedReader(self.bootstrap)
        waiting = self._waiting(reader.watermarks(self.topic))
        if sum(end - first for first, end in waiting.values()) >= _LOOK_FROM:
            most = self._limit_for(self._mean_size(reader, waiting))
        most = min(most, self._limit_after_death() or most)
        batch = self._unwritten(written)
        if batch is None:
            return most
        ends = planned_ends(self.checkpoint, self.topic, batch) or {}
        starts = self._starts()
        records = sum(end - starts.get(partition, 0) for partition, end in ends.items())
        most = min(most, self._count_start(batch, records, ends))
        if records > most:
            log.warning("batch_planned_anew", topic=self.topic, batch_id=batch, records=most)
            remove_file(self.checkpoint / "offsets" / str(batch))
        return most

    def _unwritten(self, written: int | None) -> int | None:
        """The batch that was planned and is in no table."""
        batch = newest(self.checkpoint / "offsets")
        committed = newest(self.checkpoint / "commits")
        if batch == committed or (batch is not None and written is not None and written >= batch):
            return None
        return batch

    def _starts(self) -> dict[int, int]:
        """Where the next batch begins: after the last one, or where one begins that was planned and is in no table."""
        committed = newest(self.checkpoint / "commits")
        ends = None if committed is None else planned_ends(self.checkpoint, self.topic, committed)
        return first_offsets(self.checkpoint, self.topic) if ends is None else ends

    def _waiting(self, marks: Watermarks) -> dict[int, tuple[int, int]]:
        starts = self._starts()
        return {
            partition: (max(starts.get(partition, low), low), end)
            for partition, (low, end) in marks.items()
        }

    def _mean_size(self, reader: CommittedReader, waiting: dict[int, tuple[int, int]]) -> float:
        sizes = [
            size
            for partition, (first, end) in waiting.items()
            if first < end
            for size in reader.sizes(self.topic, partition, _spread(first, end))
        ]
        return max(sum(sizes) / len(sizes), 1.0) if sizes else 1.0

    def _count_start(self, batch: int, records: int, ends: dict[int, int]) -> int:
        """Count the starts that found this batch planned and unwritten, this one included; return its limit."""
        said = self._attempts()
        starts = said["starts"] + 1 if said.get("batch") == batch else 1
        most = max(records // int(_SMALLER ** (starts - 1)), _FEWEST)
        attempts = {**said, "batch": batch, "starts": starts}
        if starts > 1:
            before = said.get("until", {})
            until = {str(p): max(end, before.get(str(p), 0)) for p, end in ends.items()}
            attempts |= {"records": most, "until": before | until}
        write_lines(self.checkpoint / _FILE, [orjson.dumps(attempts).decode()])
        return most

    def _limit_after_death(self) -> int | None:
        """The limit of the parts of a batch that died again; None once all of it is read."""
        said, starts = self._attempts(), self._starts()
        until: dict[str, int] = said.get("until", {})
        is_read = all(starts.get(int(partition), 0) >= end for partition, end in until.items())
        return None if is_read else int(said["records"])

    def _attempts(self) -> dict[str, Any]:
        try:
            said: dict[str, Any] = orjson.loads((self.checkpoint / _FILE).read_bytes())
        except FileNotFoundError:
            return {}
        return said


def _spread(first: int, end: int) -> list[int]:
    """Some offsets of a range, evenly spaced."""
    step = max((end - first) // _SAMPLES, 1)
    return list(range(first, end, step))[:_SAMPLES]

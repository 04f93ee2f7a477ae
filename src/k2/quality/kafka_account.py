"""Compare Bronze with the committed records that Kafka has.

Bronze has read the ranges that its checkpoint says, and must have every record of them. Offsets that it
lacks are compared with Kafka: some hold no record, as those of markers, of aborted transactions and of
records that compaction removed.
"""

# ruff: noqa: S608 — SQL of our own names, numbers and quoted paths

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from k2.bronze.topic_progress import Watermarks
from k2.quality.offset_blocks import BLOCK_BITS, OffsetBlocks, Run
from k2.quality.verified_offsets import VerifiedOffsets
from k2.storage.checkpoints.kafka_offsets import ReadRanges

MAX_NAMED = 20  # offsets that a difference names; its count is always whole

# Yields the offsets of a partition, from one up to another, that hold a committed record.
CommittedOffsets = Callable[[int, int, int], Iterable[int]]


@dataclass
class Found:
    """Records of one difference: how many, and ``(partition, offset)`` of the first of them."""

    count: int = 0
    first: list[tuple[int, int]] = field(default_factory=list)

    def add(self, partition: int, offsets: Sequence[int], count: int | None = None) -> None:
        """Count offsets, or ``count`` of which ``offsets`` are the first."""
        named = offsets[: MAX_NAMED - len(self.first)]
        self.first += [(partition, offset) for offset in named]
        self.count += len(offsets) if count is None else count


@dataclass
class KafkaAccount:
    """What the comparison finds.

    ``empty`` offsets hold no record. ``unproven`` ones are missing in Bronze and no longer in Kafka, so
    that nobody can tell whether they did. ``blocks_with_repeats`` are to be looked at by record.
    """

    blocks: OffsetBlocks
    verified: VerifiedOffsets
    marks: Watermarks | None = None
    committed: CommittedOffsets | None = None
    missing: Found = field(default_factory=Found)
    lost: Found = field(default_factory=Found)
    beyond: Found = field(default_factory=Found)
    empty: int = 0
    unproven: int = 0
    in_flight: int = 0
    blocks_with_repeats: list[tuple[int, int]] = field(default_factory=list)

    def compare(self, read: ReadRanges | None) -> None:
        """Compare all that Bronze has read, and how far Kafka is."""
        ranges = self._ranges(read or {})
        for partition, (first, end) in sorted(ranges.items()):
            self._compare_range(Run(partition, first, end))
        self.verified.save()
        if self.marks is None:
            return
        for partition in sorted({*self.marks, *ranges}):
            self._compare_end(partition, ranges.get(partition))

    @property
    def records(self) -> int:
        """The records that Kafka has, or had, for Bronze."""
        found = self.missing.count + self.lost.count + self.in_flight
        return self.blocks.rows("bronze") + found

    def _ranges(self, read: ReadRanges) -> dict[int, tuple[int, int]]:
        """What Bronze has read: by its checkpoint, and by a batch that is not committed yet."""
        ranges = dict(read)
        held = """select "partition", min(low), max(high) + 1 from blocks
                  where name = 'bronze' group by all"""
        for partition, low, end in self.blocks.all_of(held):
            first, committed = read.get(partition, (self._oldest(partition, low), 0))
            ranges[partition] = (min(low, first), max(end, committed))
        return ranges

    def _oldest(self, partition: int, held: int) -> int:
        """Without a checkpoint: the first that Kafka still has, or Bronze has."""
        low, _ = (self.marks or {}).get(partition, (held, held))
        return min(low, held)

    def _compare_range(self, read: Run) -> None:
        held = self.blocks.all_of(
            "select block, n, h from blocks where name = 'bronze'"
            f' and "partition" = {read.partition} order by block'
        )
        reached = read.first
        for block, count, fingerprint in held:
            first = max(block << BLOCK_BITS, read.first)
            end = min((block + 1) << BLOCK_BITS, read.end)
            self._compare_part(Run(read.partition, reached, first), 0, 0)
            self._compare_part(Run(read.partition, first, end), count, fingerprint)
            reached = end
        self._compare_part(Run(read.partition, reached, read.end), 0, 0)

    def _compare_part(self, part: Run, count: int, fingerprint: int) -> None:
        """Compare a part of which Bronze has ``count`` records, with this fingerprint."""
        size = part.end - part.first
        if count == size and fingerprint == self._fingerprint_of_all(part):
            return
        if self.verified.has(*part, count, fingerprint):
            self.empty += size - count
            return
        absent = self.blocks.absent("bronze", part) if count else range(part.first, part.end)
        if size - len(absent) != count:
            self.blocks_with_repeats.append((part.partition, part.first >> BLOCK_BITS))
        before = (self.missing.count, self.unproven)
        self._compare_absent(part.partition, absent)
        if self.committed is not None and before == (self.missing.count, self.unproven):
            self.verified.add(*part, count, fingerprint)

    def _fingerprint_of_all(self, part: Run) -> int:
        offsets = f"range({part.first}, {part.end}) offsets(o)"
        return self.blocks.one(f"select coalesce(sum(hash(o)), 0) from {offsets}")

    def _compare_absent(self, partition: int, absent: Sequence[int]) -> None:
        """Look whether Kafka gives any of the offsets that Bronze lacks."""
        if not absent:
            return
        if self.marks is None or self.committed is None:
            self.missing.add(partition, absent)
            return
        low, end = self.marks.get(partition, (absent[-1] + 1, 0))
        first, last = max(absent[0], low), min(absent[-1] + 1, end)
        given = self.committed(partition, first, last) if first < last else ()
        wanted = absent if isinstance(absent, range) else set(absent)
        missing = [offset for offset in given if offset in wanted]
        self.missing.add(partition, missing)
        gone = max(min(absent[-1] + 1, low) - absent[0], 0)
        if not isinstance(absent, range):
            gone = sum(offset < low for offset in absent)
        self.unproven += gone
        self.empty += len(absent) - len(missing) - gone

    def _compare_end(self, partition: int, read: tuple[int, int] | None) -> None:
        low, end = (self.marks or {}).get(partition, (0, 0))
        if read is None:
            self.in_flight += end - low
            return
        if low > read[1]:
            self.lost.add(partition, range(read[1], low))
        self.in_flight += max(end - max(read[1], low), 0)
        if read[1] > end:
            held = self.blocks.held("bronze", Run(partition, end, read[1]), MAX_NAMED)
            self.beyond.add(partition, *held)

"""Read Avro's primitive values from many records at once: one step for every record, then the next step.

Source: the Avro specification, "Binary Encoding". Numbers are zigzag varints, seven bits a byte, lowest
first. Eight bytes of each record are looked at together; longer numbers, which are rare, one by one.
"""

from dataclasses import dataclass

import numpy as np

from k2.avro.payloads import Bools, Int64s, PayloadBuffer, Words

_CONTINUES = np.uint64(0x8080808080808080)
_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE, _BYTE = np.uint64(1), np.uint64(8)
# To move groups of 7, 14 and 28 bits together: which stay, which move, and by how much.
_TOGETHER = tuple(
    (np.uint64(low), np.uint64(high), np.uint64(shift))
    for low, high, shift in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)
_LONGEST = 10  # bytes of a 64-bit number


@dataclass
class Cursor:
    """How far each record has been read, and which records have been valid so far.

    Values read from a bad record mean nothing; its position stays inside the buffer.
    """

    words: Words
    positions: Int64s
    ends: Int64s
    is_valid: Bools

    @classmethod
    def at(cls, payloads: PayloadBuffer, rows: Int64s, skipped: int) -> "Cursor":
        """Begin with some records, behind their first bytes, which they all have."""
        starts = payloads.starts[rows]
        return cls(
            payloads.words,
            starts + skipped,
            starts + payloads.lengths[rows],
            np.ones(rows.size, np.bool_),
        )

    def part(self, rows: Bools) -> "Cursor":
        """Return a cursor of some of the records, to be put back by :meth:`join`."""
        return Cursor(self.words, self.positions[rows], self.ends[rows], self.is_valid[rows])

    def join(self, rows: Bools, part: "Cursor") -> None:
        """Take over the positions up to which :meth:`part` was read."""
        self.positions[rows], self.is_valid[rows] = part.positions, part.is_valid

    def finish(self) -> Bools:
        """Tell which valid records have bytes left."""
        return self.is_valid & (self.positions < self.ends)

    def read_long(self) -> Int64s:
        """Read a ``long``, which must be in its shortest form."""
        raw, lengths, canonical = _varints(self.words, self.positions)
        self._advance(lengths)
        self.is_valid &= canonical
        # Zigzag: the lowest bit is the sign.
        value = (raw >> _ONE) ^ (~(raw & _ONE) + _ONE)
        return value.view(np.int64)

    def read_int(self) -> Int64s:
        """Read an ``int``."""
        value = self.read_long()
        self.is_valid &= (value >= -(2**31)) & (value < 2**31)
        return value

    def read_boolean(self) -> Bools:
        """Read a ``boolean``, a byte of 0 or 1."""
        byte = self.words[self.positions] & np.uint64(0xFF)
        self._advance(1)
        self.is_valid &= byte <= _ONE
        is_true: Bools = byte == _ONE
        return is_true

    def read_same_branch(self, branches: int) -> int | None:
        """Read which branch of a union follows, where it is the same in all records, which are valid.

        Most optional fields are like that, and this costs a tenth of reading numbers. Where branches differ,
        nothing is read and None is returned.
        """
        if not self.positions.size or not self.is_valid.all():
            return None
        bytes_ = self.words[self.positions] & np.uint64(0xFF)
        branch, is_negative = divmod(int(bytes_[0]), 2)
        if is_negative or branch >= branches or not (bytes_ == bytes_[0]).all():
            return None
        self._advance(1)
        return branch

    def read_bytes(self) -> tuple[Int64s, Int64s]:
        """Read ``bytes`` or a ``string``: return where each begins and how long it is."""
        lengths = self.read_long()
        fits = self.is_valid & (lengths >= 0) & (lengths <= self.ends - self.positions)
        self.is_valid = fits
        lengths = np.where(fits, lengths, 0)
        starts = self.positions
        self.positions = starts + lengths
        return starts, lengths

    def skip(self, count: int) -> None:
        """Skip a number of bytes."""
        self._advance(count)

    def _advance(self, counts: "Int64s | int") -> None:
        positions = self.positions + counts
        self.is_valid &= positions <= self.ends
        self.positions = np.minimum(positions, self.ends)


def _varints(words: Words, positions: Int64s) -> tuple[Words, Int64s, Bools]:
    """Read unsigned varints: values, lengths in bytes, and whether each is of the shortest form."""
    word = words[positions]
    stops = ~word & _CONTINUES
    stop = stops & (~stops + _ONE)  # the highest bit of the last byte
    lengths = (np.frexp(stop.astype(np.float64))[1] >> 3).astype(np.int64)
    last = word >> ((lengths.astype(np.uint64) - _ONE) * _BYTE)
    canonical = (lengths == 1) | ((last & np.uint64(0xFF)) != 0)
    value = word & (stop | (stop - _ONE)) & _BITS
    for low, high, shift in _TOGETHER:
        value = (value & low) | ((value & high) >> shift)
    if (long := np.flatnonzero(stops == 0)).size:
        value[long], lengths[long], canonical[long] = _long_varints(words, positions[long])
    return value, lengths, canonical


def _long_varints(words: Words, positions: Int64s) -> tuple[Words, Int64s, Bools]:
    """The same for varints of nine or ten bytes, and for those that claim to be longer."""
    value = np.zeros(positions.size, np.uint64)
    lengths = np.full(positions.size, _LONGEST, np.int64)
    canonical = np.zeros(positions.size, np.bool_)
    reads = np.ones(positions.size, np.bool_)
    for place in range(_LONGEST):
        byte = (words[positions + place] & np.uint64(0xFF)) * reads
        value |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
        ends = reads & (byte < np.uint64(0x80))
        lengths[ends] = place + 1
        # Of the tenth byte there is room for one bit.
        canonical[ends] = (byte[ends] != 0) & ((place < _LONGEST - 1) | (byte[ends] == _ONE))
        reads &= ~ends
    return value, lengths, canonical

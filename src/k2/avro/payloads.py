"""The bytes of many records in one buffer, from which eight bytes can be read at any position."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

_MARGIN = 24  # zeros after the last byte, so that what is claimed to be there can be looked at


@dataclass(frozen=True)
class PayloadBuffer:
    """Records as parts of one buffer; ``words[i]`` are its eight bytes from position ``i`` on.

    ``valid`` says which records are not null; null ones are empty.
    """

    data: npt.NDArray[np.uint8]
    words: Words
    starts: Int64s
    lengths: Int64s
    valid: Bools

    @classmethod
    def of(cls, values: pa.Array | pa.ChunkedArray) -> "PayloadBuffer":
        """Copy the values of a binary column."""
        whole = _large(values)
        count = len(whole)
        offsets = np.frombuffer(whole.buffers()[1], np.int64)[
            whole.offset : whole.offset + count + 1
        ]
        first, last = (int(offsets[0]), int(offsets[-1])) if count else (0, 0)
        data = np.zeros(last - first + _MARGIN, np.uint8)
        if last > first:
            data[: last - first] = np.frombuffer(whole.buffers()[2], np.uint8)[first:last]
        starts = offsets[:-1] - first if count else np.empty(0, np.int64)
        valid = whole.is_valid().to_numpy(zero_copy_only=False)
        lengths = np.where(valid, np.diff(offsets), 0) if count else np.empty(0, np.int64)
        return cls(data, _words(data), starts, lengths, valid)

    def __len__(self) -> int:
        """Return the number of records."""
        return int(self.starts.size)


def _large(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array with offsets of 64 bits."""
    if isinstance(values, pa.ChunkedArray):
        chunks = [chunk.cast(pa.large_binary()) for chunk in values.chunks]
        return pa.concat_arrays(chunks or [pa.array([], pa.large_binary())])
    return values.cast(pa.large_binary())


def _words(data: npt.NDArray[np.uint8]) -> Words:
    return np.lib.stride_tricks.as_strided(
        data[:8].view("<u8"), shape=(data.size - 7,), strides=(1,), writeable=False
    )

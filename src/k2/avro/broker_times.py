"""Convert the broker's timestamps, whatever their unit, as far as a table can hold them.

Kafka counts milliseconds since 1970, and accepts any number from a producer. One in microseconds is a
day in the year 58,000. Delta's statistics, and most readers, end with the year 9999; Spark reads no
time before 1900 from a file of another writer.
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# The header that such a record gets in Bronze: what Kafka said, as decimal text.
MARK = "k2-kafka-timestamp-ms"

_INSTANT = pa.timestamp("us", "UTC")
_FIRST_MS = int(datetime(1900, 1, 1, tzinfo=UTC).timestamp()) * 1000
_LAST_MS = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000 + 999


def broker_times(times: pa.ChunkedArray) -> tuple[pa.Array, dict[int, int]]:
    """Return the times as UTC instants, and Kafka's own number of those that do not fit, by row.

    Args:
        times: instants, or milliseconds since 1970 as whole numbers. What does not fit becomes the
            nearest that does.
    """
    if pa.types.is_integer(times.type):
        milliseconds = np.asarray(times.cast(pa.int64()).to_numpy(), np.int64)
        exact = None
    else:
        exact = times.cast(_INSTANT)
        milliseconds = np.asarray(exact.cast(pa.int64()).to_numpy(), np.int64) // 1000
    unfit = np.flatnonzero((milliseconds < _FIRST_MS) | (milliseconds > _LAST_MS))
    if exact is not None and not unfit.size:
        return exact.combine_chunks(), {}
    fitting = pa.array(np.clip(milliseconds, _FIRST_MS, _LAST_MS) * 1000).cast(_INSTANT)
    if exact is not None:
        is_fit = (milliseconds >= _FIRST_MS) & (milliseconds <= _LAST_MS)
        fitting = pc.if_else(pa.array(is_fit), exact.combine_chunks(), fitting)
    return fitting, {int(row): int(milliseconds[row]) for row in unfit}


def with_marks(headers: pa.ChunkedArray, unfit: dict[int, int]) -> pa.ChunkedArray:
    """Return the records' headers, with one more for each row of ``unfit``."""
    if not unfit:
        return headers
    rows = headers.to_pylist()
    for row, said in unfit.items():
        rows[row] = [*(rows[row] or ()), {"key": MARK, "value": str(said).encode()}]
    return pa.chunked_array([pa.array(rows, headers.type)])

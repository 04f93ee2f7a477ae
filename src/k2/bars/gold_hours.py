"""Read Gold's trades of some hours in parts: an hour of a fast market may not fit into memory."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import DeltaTable

from k2.storage.scan import scan

_ROWS = 500_000  # of a part, some 50 MB of what bars are made of
_HOUR = 3_600


def read_hours(
    gold: DeltaTable, hours: Iterable[int], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the trades of some hours (counted from 1970), chosen by their partitions."""
    held: list[pa.RecordBatch] = []
    for hour in sorted(set(hours)):
        start = datetime.fromtimestamp(hour * _HOUR, UTC)
        partition = [("exchange_date", "=", start.date()), ("exchange_hour", "=", start.hour)]
        for batch in scan(gold, columns, partition).batches():
            held.append(batch)
            if sum(part.num_rows for part in held) >= _ROWS:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)

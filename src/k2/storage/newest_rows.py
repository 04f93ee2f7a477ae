"""Read the newest rows of a table from few of its files, however large it is."""

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from k2.sql import identifier
from k2.storage.file_pruning import Condition, prune
from k2.storage.scan import data_files, scan

# Spark cuts a time in a file's statistics to milliseconds.
_CUT = timedelta(milliseconds=1)


def newest_rows(
    stored: DeltaTable,
    order: Sequence[str],
    limit: int,
    columns: Sequence[str] | None = None,
    where: Sequence[Condition] = (),
) -> pa.Table:
    """Return the ``limit`` rows that come last by the columns ``order``, the last of them first.

    Files are read from the newest by statistics of the first of these columns until no other file can
    have a newer row. ``columns`` and ``where`` are those of :func:`~k2.storage.scan.scan`.

    Raises:
        ContractError: a file is missing or damaged.
    """
    schema = pa.schema(stored.schema().to_arrow())
    names = schema.names if columns is None else list(columns)
    read = [*names, *(name for name in order if name not in names)]
    by_time = f"max.{order[0]}"
    files = prune(data_files(stored), schema, where)
    if by_time in files.column_names:
        is_known = files[by_time].is_valid()
        known = files.filter(is_known).sort_by([(by_time, "descending")])
        files = pa.concat_tables([files.filter(pc.invert(is_known)), known])
    last_first = ", ".join(f"{identifier(name)} desc nulls last" for name in order)
    count = _files_with(files, limit)
    while True:
        chosen = scan(stored, read, where, files=files.slice(0, count))
        found = chosen.table(f"true order by {last_first} limit {limit}")
        if count >= len(files) or _are_newer(found, order[0], limit, files, by_time, count):
            return found.select(names)
        count *= 2


def _files_with(files: pa.Table, rows: int) -> int:
    """How many of the first files have so many rows, as far as the log says."""
    total = 0
    for count, there in enumerate(files["num_records"].to_pylist(), 1):
        total += there or 0
        if total >= rows:
            return count
    return max(len(files), 1)


def _are_newer(
    found: pa.Table, column: str, limit: int, files: pa.Table, by_time: str, count: int
) -> bool:
    """Tell whether all rows found are newer than any row of the other files."""
    if found.num_rows < limit or by_time not in files.column_names:
        return False
    rest = files[by_time].slice(count)
    oldest = found[column][-1]
    if rest.null_count or not oldest.is_valid:
        return False
    newest = pc.max(rest)
    if pa.types.is_timestamp(newest.type):
        newest = pc.add(newest, pa.scalar(_CUT, pa.duration("us")))
    return bool(pc.greater(oldest, newest.cast(oldest.type)).as_py())

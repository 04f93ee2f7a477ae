"""Compare two states of a table record by record: rows that only one has, and rows that differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from k2.sql import utc_database
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import scan
from k2.storage.table import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SAMPLES = 5
_PLACE = "topic || '-' || \"partition\" || '@' || \"offset\""

Slices = Iterable[tuple[int, int, int]]  # partition, first and last offset


@dataclass
class TableDifference:
    """What a rebuilt table has beside, or not as, the live one; samples name the first of each."""

    table: str
    live: int = 0
    rebuilt: int = 0
    added: int = 0
    removed: int = 0
    changed: dict[str, int] = field(default_factory=dict)  # records, by field
    samples: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Tell whether the two are the same, record for record."""
        return not (self.added or self.removed or self.changed)


@named_read_errors()
def compare(
    table: Table,
    live: DeltaTable | None,
    rebuilt: DeltaTable,
    without: DeltaTable | None,
    by: Slices,
) -> TableDifference:
    """Compare the tables a slice at a time, which bounds the memory.

    ``without`` names records that the live table keeps as history only. Columns that only one of the
    tables has are left out.
    """
    database = utc_database()
    scan(rebuilt).create_view(database, "rebuilt_rows")
    scan(live or rebuilt).create_view(database, "live_rows")
    if without is not None:
        scan(without).create_view(database, "history")
    found = TableDifference(table.name)
    for values in by:
        _take(database, "rebuilt", "rebuilt_rows", values, False)
        _take(database, "live", "live_rows", values if live else (-1, 0, 0), without is not None)
        _compare(database, _common_columns(table, live or rebuilt, rebuilt), found)
    return found


@named_read_errors()
def newest_offsets(tables: Iterable[DeltaTable]) -> dict[int, int]:
    """Return the newest offset of each partition that any of the tables has."""
    newest: dict[int, int] = {}
    query = 'select "partition", max("offset") from stored group by all'
    for table in tables:
        with utc_database() as database:
            scan(table, ["partition", "offset"]).create_view(database, "stored")
            for partition, offset in database.execute(query).fetchall():
                newest[partition] = max(newest.get(partition, -1), offset)
    return newest


@named_read_errors()
def beyond(table: DeltaTable, ends: Mapping[int, int]) -> int:
    """Count a table's records after the given offsets of their partitions."""
    with utc_database() as database:
        scan(table, ["partition", "offset"]).create_view(database, "stored")
        query = 'select count(*) from stored where "partition" = ? and "offset" > ?'
        elsewhere = 'select count(*) from stored where not list_contains(?, "partition")'
        after = [database.execute(query, list(end)).fetchall() for end in ends.items()]
        rest = database.execute(elsewhere, [list(ends)]).fetchall()
        return int(sum(rows[0][0] for rows in (*after, rest)))


def _take(
    database: "DuckDBPyConnection",
    name: str,
    source: str,
    values: tuple[int, int, int],
    but_history: bool,
) -> None:
    query = (
        f'select * from {source} where "partition" = ? and "offset" between ? and ?'  # noqa: S608
    )
    if but_history:
        query = f'select * from ({query}) anti join history using (topic, "partition", "offset")'  # noqa: S608
    database.execute(f"create or replace temp table {name} as {query}", list(values)).fetchall()


def _common_columns(table: Table, *stored: DeltaTable) -> list[str]:
    """The columns of a table that all of these have, but for what names a record."""
    have = [{field.name for field in each.schema().fields} for each in stored]
    return [
        name
        for name in table.columns
        if name not in ("topic", "partition", "offset") and all(name in names for names in have)
    ]


def _compare(database: "DuckDBPyConnection", fields: Sequence[str], found: TableDifference) -> None:
    found.live += _one(database, "select count(*) from live")
    found.rebuilt += _one(database, "select count(*) from rebuilt")
    for what, here, there in (("added", "rebuilt", "live"), ("removed", "live", "rebuilt")):
        query = f'{here} anti join {there} using (topic, "partition", "offset")'
        if count := _one(database, f"select count(*) from {query}"):  # noqa: S608 — our own names
            setattr(found, what, getattr(found, what) + count)
            rows = f"select {_PLACE} from {query} order by all"  # noqa: S608
            _sample(database, found, what, rows)
    both = 'live l join rebuilt r using (topic, "partition", "offset")'
    sums = ", ".join(f'count_if(l."{name}" is distinct from r."{name}")' for name in fields)
    counts = database.execute(f"select {sums} from {both}").fetchall()[0]  # noqa: S608
    for name, count in zip(fields, counts, strict=True):
        if count:
            found.changed[name] = found.changed.get(name, 0) + count
            _sample(
                database,
                found,
                name,
                f'select {_PLACE}, l."{name}"::text, r."{name}"::text from {both}'  # noqa: S608
                f' where l."{name}" is distinct from r."{name}" order by all',
            )


def _sample(database: "DuckDBPyConnection", found: TableDifference, what: str, query: str) -> None:
    known = found.samples.setdefault(what, [])
    rows = database.execute(f"{query} limit {_SAMPLES - len(known)}").fetchall()
    names = ("record", "live", "rebuilt")
    known += [row[0] if len(row) == 1 else dict(zip(names, row, strict=True)) for row in rows]


def _one(database: "DuckDBPyConnection", query: str) -> int:
    return int(database.execute(query).fetchall()[0][0])

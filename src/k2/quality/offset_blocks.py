"""Compare tables' offsets in blocks: by a fingerprint for each block, and by record where fingerprints differ.

A fingerprint is how many offsets of a block a table has, and the sum of their 64-bit hashes. Two tables
with the same fingerprint have the same offsets there, each as often: that others agree by chance has a
probability of 2^-64 a block. So memory is that of the blocks, however many offsets there are.
"""

# ruff: noqa: S608 — SQL of our own names, numbers and quoted paths

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from k2.sql import text, utc_database
from k2.storage.read_errors import named_read_errors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BLOCK_BITS = 17
BLOCK = 1 << BLOCK_BITS
_MAX_BLOCKS_AT_ONCE = 8  # that are compared record by record: their offsets are in memory
_MEMORY = "192MB"  # of DuckDB's own, before it spills
_PLACE = '"partition", "offset"'


class Run(NamedTuple):
    """Offsets of a partition from ``first`` up to, and without, ``end``."""

    partition: int
    first: int
    end: int


@dataclass(frozen=True)
class Source:
    """Where a set of offsets is: data files, and which of their rows."""

    files: Sequence[str]
    where: str = "true"

    def select(self, columns: str = _PLACE) -> str:
        """Return the SQL of these rows."""
        if not self.files:
            nothing = 'select 0::int as "partition", 0::bigint as "offset"'
            return f"select {columns} from ({nothing}) where false"
        files = ", ".join(text(_escape(file)) for file in self.files)
        parquet = f"read_parquet([{files}], hive_partitioning = false)"
        return f"select {columns} from {parquet} where {self.where}"


class OffsetBlocks:
    """The fingerprints of several sets of offsets, by their names."""

    def __init__(self, database: "DuckDBPyConnection", sources: Mapping[str, Source]) -> None:
        """Read the offsets of all ``sources`` once."""
        self._database = database
        self._sources = sources
        self._do(
            'create or replace temp table blocks (name text, "partition" int, block bigint,'
            " n bigint, h hugeint, low bigint, high bigint)"
        )
        for name, source in sources.items():
            columns = (
                f'{text(name)}, "partition", "offset" >> {BLOCK_BITS}, count(*),'
                ' sum(hash("offset")), min("offset"), max("offset")'
            )
            self._do(f"insert into blocks {source.select(columns)} group by all")

    def rows(self, name: str) -> int:
        """Count the offsets of a set."""
        return self.one(f"select coalesce(sum(n), 0) from blocks where name = {text(name)}")

    def absent(self, name: str, run: Run) -> list[int]:
        """Return the offsets of a run that a set lacks, in order."""
        held = self._sources[name].select('"offset" as o')
        return [
            offset
            for (offset,) in self._do(
                f"select o from range({run.first}, {run.end}) wanted(o)"
                f" anti join ({held} and {_inside(run)}) using (o) order by o"
            )
        ]

    def held(self, name: str, run: Run, limit: int) -> tuple[list[int], int]:
        """Return the first ``limit`` offsets of a run that a set has, and how many they are in all."""
        offsets = self._sources[name].select('distinct "offset" as o')
        held = f"{offsets} and {_inside(run)}"
        first = self._do(f"select o from ({held}) order by o limit {limit}")
        return [o for (o,) in first], self.one(f"select count(*) from ({held})")

    def all_of(self, query: str) -> list[Any]:
        """Return a query's rows."""
        return self._do(query)

    def one(self, query: str) -> int:
        """Return a query's only number."""
        return int(self._do(query)[0][0])

    @contextmanager
    def records(self, run: Run) -> Iterator[None]:
        """Have the offsets of a run in temporary tables with the names of the sets."""
        for name, source in self._sources.items():
            self._do(f"create or replace temp table {name} as {source.select()} and {_inside(run)}")
        try:
            yield
        finally:
            for name in self._sources:
                self._do(f"drop table {name}")

    def _do(self, query: str) -> list[Any]:
        with named_read_errors():
            return self._database.execute(query).fetchall()


def _inside(run: Run) -> str:
    return f'"partition" = {run.partition} and "offset" >= {run.first} and "offset" < {run.end}'


def runs_of(blocks: Iterable[tuple[int, int]]) -> Iterator[Run]:
    """Join blocks, which are ``(partition, block)``, that follow each other, a few at most."""
    run: Run | None = None
    for partition, block in sorted(set(blocks)):
        first, end = block << BLOCK_BITS, (block + 1) << BLOCK_BITS
        is_next = run is not None and (run.partition, run.end) == (partition, first)
        if run is not None and is_next and end - run.first <= BLOCK * _MAX_BLOCKS_AT_ONCE:
            run = run._replace(end=end)
            continue
        if run is not None:
            yield run
        run = Run(partition, first, end)
    if run is not None:
        yield run


@contextmanager
def spilling_database(scratch: Path, memory: str = _MEMORY) -> Iterator["DuckDBPyConnection"]:
    """Open a database with so much memory, which spills under ``scratch``."""
    scratch.parent.mkdir(parents=True, exist_ok=True)
    with utc_database() as database:
        database.execute(f"set memory_limit = '{memory}'")
        database.execute(f"set temp_directory = {text(str(scratch))}")
        database.execute("set preserve_insertion_order = false")
        yield database


def _escape(path: str) -> str:
    """A path as DuckDB's file patterns write it."""
    return re.sub(r"([\[*?])", r"[\1]", path)

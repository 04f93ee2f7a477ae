"""What a stored table is: its name, columns, key, partitions and comment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import chain

import pyarrow as pa


class Layer(StrEnum):
    """The part of the lakehouse that a table belongs to."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    OPS = "ops"


@dataclass(frozen=True)
class Table:
    """The definition of a Delta table.

    ``schema`` has the columns, their comments as metadata. ``version`` rises when the columns, or what
    they mean, change: a stored table of an older one is rebuilt by `k2 upgrade`. ``key`` names the
    columns that identify a row; ``stats_columns`` those whose smallest and largest values Delta keeps for each
    file, to skip files; ``high_cardinality`` names texts and bytes that hardly ever repeat; compacted files are
    sorted by ``sorted_by``, which makes them smaller; in a stream's files rows of one value of ``grouped_by``
    lie together, so that a query for that value skips parts of a file; ``properties`` are Delta's own, in
    addition to those of every table.
    """

    name: str
    layer: Layer
    comment: str
    schema: pa.Schema
    key: tuple[str, ...]
    partitioned_by: tuple[str, ...]
    stats_columns: tuple[str, ...] = ()
    high_cardinality: tuple[str, ...] = ()
    sorted_by: tuple[str, ...] = ()
    grouped_by: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        columns = set(self.schema.names)
        named = (
            self.key,
            self.partitioned_by,
            self.stats_columns,
            self.high_cardinality,
            self.sorted_by,
            self.grouped_by,
        )
        for name in chain(*named):
            if name not in columns:
                raise ValueError(f"table {self.name}: {name!r} is not one of its columns")

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in order."""
        return list(self.schema.names)

    @cached_property
    def row_schema(self) -> pa.Schema:
        """The columns as rows have them: without comments."""
        return pa.schema([field.remove_metadata() for field in self.schema])

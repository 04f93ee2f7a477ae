"""Delta tables as folders: create them from their definitions, open them, count their rows.

All of this uses delta-rs and no Spark.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deltalake import DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from k2.errors import FailedError, TableDriftError, UnavailableError
from k2.storage.read_errors import named_log_errors
from k2.storage.table import Table
from k2.storage.table_checksum import keep_checksum

# Every commit of a stream reads the log since the last checkpoint, and every 50th writes one:
# performance-log.md measured fewer as dearer for reading and more as dearer for writing.
CHECKPOINT_INTERVAL = 50
VERSION = "k2.tableVersion"  # the property that says of which definition a stored table is
# For write_deltalake: what K2 does with a log it does itself (maintenance/small_files.py).
NOTHING_ELSE = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_COLOR = re.compile(r"\x1b\[\d+m")  # of the trees in which delta-rs tells an error's causes
HISTORY_MINUTES = 60


def properties(history_minutes: int = HISTORY_MINUTES) -> dict[str, str]:
    """Return the properties of every table, which limit how much history it keeps.

    They limit how long the log names removed files. Every small file is removed in the end: in a week of a
    fast feed that is half a million files, in each checkpoint of the log and in the memory of every reader.
    """
    kept = f"interval {history_minutes} minutes"
    return {
        "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
        "delta.logRetentionDuration": kept,
        "delta.deletedFileRetentionDuration": kept,
        # Who cleans up by the clock alone takes entries that a stream of K2 has not read.
        "delta.enableExpiredLogCleanup": "false",
    }


def table_path(lake: Path, table: Table) -> Path:
    """Return the folder of a table."""
    return lake / table.name


def folder_of(stored: DeltaTable) -> Path:
    """Return the folder of a table that is open."""
    # An address, in which a space is %20.
    return Path(unquote(urlsplit(stored.table_uri).path))


def ensure_table(lake: Path, table: Table) -> DeltaTable:
    """Open a table, creating it from its definition when it is not there.

    Raises:
        TableDriftError: the stored table is of another version of the definition, or its columns or
            partitions are not those of the definition.
    """
    path = table_path(lake, table)
    stored = open_table(lake, table)
    if stored is not None:
        _refuse_drift(stored, table)
        return stored
    indexed = ",".join((*table.stats_columns,))
    configuration = {
        **properties(),
        **table.properties,
        "delta.dataSkippingStatsColumns": indexed,
        VERSION: str(table.version),
    }
    with named_errors(table, f"created in {path}"):
        created = DeltaTable.create(
            path,
            schema=wanted_schema(table),
            partition_by=list(table.partitioned_by),
            name=table.name,
            description=table.comment,
            configuration=configuration,
            raise_if_key_not_exists=False,  # the version's is our own
        )
        keep_checksum(created, path)
    return created


def keep_properties(stored: DeltaTable, table: Table, history_minutes: int) -> bool:
    """Set the properties that limit a table's history; tell whether they were different before."""
    wanted = properties(history_minutes)
    have = stored.metadata().configuration
    odd = {name: value for name, value in wanted.items() if have.get(name) != value}
    if odd:
        with named_errors(table, "altered"):
            stored.alter.set_table_properties(odd)
            stored.update_incremental()
    return bool(odd)


@contextmanager
def named_errors(table: Table, what: str = "written") -> Iterator[None]:
    """Raise errors of delta-rs as K2's own, with the table's name and the reason.

    Raises:
        UnavailableError: somebody else changed the table meanwhile; a retry may succeed.
        FailedError: delta-rs or the system failed.
    """
    try:
        yield
    except CommitFailedError as error:
        raise UnavailableError(
            f"Table {table.name} could not be {what}, because somebody else changed it at the same"
            " moment; it will be tried again."
        ) from error
    except (DeltaError, OSError) as error:
        why = " ".join(_COLOR.sub("", str(error)).split())
        raise FailedError(f"Table {table.name} could not be {what}: {why}") from error


def exists(lake: Path, table: Table) -> bool:
    """Tell whether the table has been created."""
    return DeltaTable.is_deltatable(str(table_path(lake, table)))


def open_table(lake: Path, table: Table) -> DeltaTable | None:
    """Open a table as it is stored; None when it has not been created.

    Raises:
        ContractError: its log is damaged.
    """
    try:
        with named_log_errors(table.name):
            return DeltaTable(table_path(lake, table))
    except TableNotFoundError:
        return None


def stored_version(stored: DeltaTable) -> int:
    """Return the version of the definition that a table was created from."""
    return int(stored.metadata().configuration.get(VERSION, "1"))


def refuse_missing_columns(stored: DeltaTable, names: Iterable[str]) -> None:
    """Raise when a stored table lacks columns that a reader needs.

    Raises:
        TableDriftError: names them, and the version of the table.
    """
    missing = sorted(set(names) - {field.name for field in stored.schema().fields})
    if missing:
        raise TableDriftError(
            f"Table {folder_of(stored).name}, of version {stored_version(stored)}, has no "
            f"{', '.join(missing)}. `k2 upgrade` makes it anew where it is older than this K2."
        )


def row_count(stored: DeltaTable) -> int:
    """Return the number of rows, from the log alone."""
    return int(sum(stored.get_add_actions(flatten=True)["num_records"].to_pylist()))


def record_count(lake: Path, *tables: Table) -> int:
    """Return how many rows some tables have together; a table that does not exist has none."""
    stored = (open_table(lake, table) for table in tables)
    return sum(row_count(table) for table in stored if table is not None)


def wanted_schema(table: Table) -> Schema:
    """Return a definition's columns as Delta's schema, comments included."""
    return Schema.from_arrow(table.schema)


def _refuse_drift(stored: DeltaTable, table: Table) -> None:
    version = stored_version(stored)
    if version < table.version:
        raise TableDriftError(
            f"Table {table.name} is of version {version}, this K2 writes version {table.version}. "
            "Stop the streams, look at `k2 upgrade --dry-run`, then run `k2 upgrade`."
        )
    if version > table.version:
        raise TableDriftError(
            f"Table {table.name} is of version {version}, this K2 knows up to version "
            f"{table.version}: a newer K2 made it. Install that one again."
        )
    have = {field.name: (str(field.type), field.nullable) for field in stored.schema().fields}
    want = {field.name: (str(field.type), field.nullable) for field in wanted_schema(table).fields}
    odd = [name for name in have.keys() | want.keys() if have.get(name) != want.get(name)]
    partitions = stored.metadata().partition_columns
    if odd:
        raise TableDriftError(
            f"Table {table.name} differs from its definition in {', '.join(sorted(odd))}. "
            f"Migrate it, or move {table_path(Path(), table)} away and rebuild it."
        )
    if partitions != list(table.partitioned_by):
        raise TableDriftError(
            f"Table {table.name} is partitioned by {partitions}, wanted "
            f"{list(table.partitioned_by)}. Rebuild it."
        )

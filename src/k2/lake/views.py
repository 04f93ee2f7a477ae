"""Offer stored tables as views to a query: read-only, each at one version, with access to nothing else."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4
from weakref import WeakSet

from k2.bars.table import GOLD_OHLCV
from k2.errors import ConfigError
from k2.gold.table import GOLD_TRADES
from k2.lake.asset_names import with_asset_name
from k2.lake.relation import Relation, named_query_errors
from k2.sql import identifier, text, utc_database
from k2.storage.read_errors import named_read_errors
from k2.storage.scan import Scan, scan
from k2.storage.stored_tables import StoredTables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Beside every table's own name: a view's name, and whose tables it has.
GOLD_VIEW = "gold"
_OF_ALL = {GOLD_VIEW: GOLD_TRADES.name, "bars": GOLD_OHLCV.name}
_OF_EXCHANGES = {
    "bronze": re.compile(r"bronze_(\w+)_trades"),
    "silver": re.compile(r"silver_(\w+)_trades"),
    "duplicates": re.compile(r"dup_(\w+)_trades"),
    "dead_letters": re.compile(r"dlq_(\w+)_trades"),
    "resolutions": re.compile(r"dlq_(\w+)_resolutions"),
}

Views = Mapping[str, Mapping[str, str]]  # view → its tables, and the exchange of each or ""


def views_of(tables: StoredTables) -> Views:
    """Return the views of the stored tables.

    ``silver_kraken`` is Kraken's table; ``silver`` those of all exchanges, which then have a column
    ``exchange``.
    """
    stored = tables.names()
    views: dict[str, dict[str, str]] = {name: {name: ""} for name in stored}
    views |= {view: {table: ""} for view, table in _OF_ALL.items() if table in stored}
    for kind, pattern in _OF_EXCHANGES.items():
        for table in stored:
            if found := pattern.fullmatch(table):
                views[f"{kind}_{found[1]}"] = {table: ""}
                views.setdefault(kind, {})[table] = found[1]
    return views


@dataclass(frozen=True)
class _Database:
    """A database that has some views and can read nothing but their files."""

    connection: "DuckDBPyConnection"
    versions: Mapping[str, int]
    files: tuple[str, ...]


@dataclass
class ViewQueries:
    """Runs queries over the views; the last database stays open for a next query over the same views."""

    tables: StoredTables
    _last: tuple[object, _Database] | None = None
    _given: WeakSet[Relation] = field(default_factory=WeakSet)

    def ask(self, query: str) -> Relation:
        """Return what a ``select`` makes of the views, each at one version of its table.

        Raises:
            ConfigError: it is no single ``select``, or DuckDB refuses it; says why.
            ContractError: a file is missing or damaged.
        """
        views = views_of(self.tables)
        words = set(re.findall(r"\w+", query.lower()))
        # Only what it may speak of is opened; all of it for `show tables`.
        chosen = {name: of for name, of in views.items() if name.lower() in words} or views
        database = self._database_of(chosen)
        relation = Relation(database.connection, query, database.versions, database.files)
        try:
            with named_query_errors():
                _refuse_all_but_select(database.connection, query)
            relation.check()
        except ConfigError as error:
            if "does not exist" not in str(error):
                raise
            raise ConfigError(f"{error} Views: {', '.join(sorted(views)) or 'none'}.") from error
        self._given.add(relation)
        return relation

    def close(self) -> None:
        """Close the databases of all relations."""
        for relation in self._given:
            relation.close()
        if self._last is not None:
            self._last[1].connection.close()
            self._last = None

    def _database_of(self, chosen: Views) -> _Database:
        opened = {
            name: self.tables.opened(name) for name in {t for of in chosen.values() for t in of}
        }
        versions = {name: stored.version() for name, stored in sorted(opened.items())}
        key = (sorted(chosen), versions)
        if self._last is None or self._last[0] != key:
            scans = {name: scan(stored) for name, stored in opened.items()}
            self._last = (key, _make_database(chosen, scans, versions))
        return self._last[1]


def _make_database(
    chosen: Views, scans: Mapping[str, Scan], versions: Mapping[str, int]
) -> _Database:
    files = tuple(file for planned in scans.values() for file in planned.files)
    database = utc_database()
    for view, of in chosen.items():
        rows = _union(of, scans)
        # The view is for readers; the table by its own name is as it is stored.
        rows = with_asset_name(rows) if view == GOLD_VIEW else rows
        sql = f"create view {identifier(view)} as {rows}"
        with named_read_errors():
            database.execute(sql)
    _lock(database, files)
    return _Database(database, versions, files)


def _union(of: Mapping[str, str], scans: Mapping[str, Scan]) -> str:
    parts = []
    for table, exchange in of.items():
        is_told = not exchange or "exchange" in scans[table].schema.names
        who = "" if is_told else f"{text(exchange)} as exchange, "
        parts.append(f"select {who}* from ({scans[table].sql})")  # noqa: S608 — our own SQL
    return " union all by name ".join(parts)


def _refuse_all_but_select(database: "DuckDBPyConnection", query: str) -> None:
    kinds = [statement.type.name for statement in database.extract_statements(query)]
    if kinds != ["SELECT"]:
        raise ConfigError("A query is one `select`; the tables cannot be changed.")


def _lock(database: "DuckDBPyConnection", files: tuple[str, ...]) -> None:
    """Restrict the database to reading the tables' files and to spilling what does not fit into memory."""
    spill = Path(tempfile.gettempdir()) / f"k2-query-{uuid4().hex}"  # made and removed by DuckDB
    for setting in (
        "parquet_metadata_cache = true",
        f"temp_directory = {text(str(spill))}",
        f"allowed_paths = [{', '.join(map(text, files))}]",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        database.execute(f"set {setting}")

"""``k2.Lake``: the stored tables of a home, for programs that read them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from k2.bars.table import GOLD_OHLCV
from k2.errors import ConfigError
from k2.gold.table import GOLD_TRADES
from k2.lake.asset_names import COLUMN, chosen_with_asset_name, with_asset_name
from k2.lake.conditions import Moment, between, of_bars, of_market, of_trades
from k2.lake.relation import Relation
from k2.lake.views import ViewQueries
from k2.quality.coverage.table import OPS_COVERAGE
from k2.sql import utc_database
from k2.storage.file_pruning import Condition
from k2.storage.scan import scan
from k2.storage.stored_tables import StoredTables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Lake:
    """Tables under a home (``K2_HOME``), read by DuckDB without Spark, also while streams write them.

    Each relation stays at the version that its table had when it was made. Times are UTC. Close the
    lake, or use it as a context manager; relations cannot be read after that.
    """

    def __init__(self, home: str | Path = ".k2") -> None:
        """Look at a home's tables.

        Raises:
            ConfigError: the home has no folder of tables.
        """
        folder = _folder_of(home) / "lake"
        if not folder.is_dir():
            raise ConfigError(f"There is no lake in {folder.parent}; name a K2_HOME, such as .k2.")
        self._tables = StoredTables(folder)
        self._queries = ViewQueries(self._tables)
        self._connection: DuckDBPyConnection | None = None

    def trades(
        self,
        symbol: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        exchange: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Relation:
        """Return Gold's trades from ``start`` up to, and without, ``end``, by their ``timestamp``.

        Args:
            symbol: market in standard codes, such as BTC-USDT; all without it.
            start: a time, a day, or the ISO text of either; without a zone it is UTC.
            end: likewise.
            exchange: name of one exchange; all without it.
            columns: names in the wanted order; all without it. ``asset_name``, such as Bitcoin, is one
                of them, though no table stores it.

        Raises:
            ConfigError: no such table, column or exchange, or a text that is no time.
        """
        where = of_trades(symbol, start, end, exchange)
        if columns is None:
            return self._relation(GOLD_TRADES.name, None, where, with_asset_name)
        if COLUMN not in columns:
            return self._relation(GOLD_TRADES.name, columns, where)
        stored = [name for name in dict.fromkeys((*columns, "symbol")) if name != COLUMN]
        chosen = partial(chosen_with_asset_name, columns=columns)
        return self._relation(GOLD_TRADES.name, stored, where, chosen)

    def bars(
        self,
        symbol: str | None = None,
        timeframe: str = "1m",
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        exchange: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Relation:
        """Return bars of one length whose ``bar_start`` is from ``start`` up to, and without, ``end``.

        The arguments are those of :meth:`trades`; ``timeframe`` is 1m, 5m, 30m, 1h or 1d.

        Raises:
            ConfigError: no such table, column, exchange or timeframe, or a text that is no time.
        """
        where = of_bars(symbol, timeframe, start, end, exchange)
        return self._relation(GOLD_OHLCV.name, columns, where)

    def coverage(
        self,
        symbol: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        exchange: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Relation:
        """Return what is there of each market and hour, and what is missing.

        The arguments are those of :meth:`trades`; hours are from ``start`` up to, and without, ``end``.

        Raises:
            ConfigError: no coverage yet, no such column or exchange, or a text that is no time.
        """
        where = [*of_market(symbol, exchange), *between("hour", start, end)]
        return self._relation(OPS_COVERAGE.name, columns, where)

    def table(self, name: str, *, columns: Sequence[str] | None = None) -> Relation:
        """Return all rows of a stored table, such as ``dlq_binance_trades``.

        Raises:
            ConfigError: no such table or column.
        """
        return self._relation(name, columns, [])

    def tables(self) -> list[str]:
        """Return the names of the tables that are stored."""
        return self._tables.names()

    def sql(self, query: str) -> Relation:
        """Return what one ``select`` makes of the views; see docs/reference/lake.md for their names.

        It can read nothing but the tables and write nothing.

        Raises:
            ConfigError: the query is no single ``select``, or DuckDB refuses it.
        """
        return self._queries.ask(query)

    def close(self) -> None:
        """Close the lake and its relations; a second call does nothing."""
        self._queries.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _relation(
        self,
        name: str,
        columns: Sequence[str] | None,
        where: list[Condition],
        select: Callable[[str], str] = str,
    ) -> Relation:
        planned = scan(self._tables.opened(name), self._tables.checked(name, columns), where)
        versions = {name: planned.version}
        return Relation(self._database(), select(planned.sql), versions, planned.files)

    def _database(self) -> "DuckDBPyConnection":
        if self._connection is None:
            self._connection = utc_database()
            self._connection.execute("set parquet_metadata_cache = true")
        return self._connection


def _folder_of(home: str | Path) -> Path:
    text = str(home)
    return Path(unquote(urlsplit(text).path) if text.startswith("file://") else home).expanduser()

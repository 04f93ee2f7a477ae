"""``k2 show``: the newest rows of a table."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from k2.cli.options import complete_table
from k2.cli.render.printing import cell_of, print_json, print_table
from k2.errors import ConfigError, did_you_mean
from k2.lake.conditions import between, of_market
from k2.settings import Settings
from k2.storage.file_pruning import Condition
from k2.storage.newest_rows import newest_rows
from k2.storage.stored_tables import StoredTables

# Columns that a person wants to see first; --json and --wide have all.
_BRIEF = (
    *(
        "timestamp",
        "exchange",
        "symbol",
        "side",
        "price",
        "quantity",
        "currency",
        "trade_value_usd",
    ),
    *("is_late", "trade_id", "partition", "offset", "schema_id"),
    *("error_type", "error_reasons"),
    *("timeframe", "bar_start", "close", "volume", "trade_count"),
    *("is_final", "revision"),
    *("kafka_timestamp", "message_id", "outcome"),
)
# What a narrow terminal does without, the first first; what names a row stays.
_DROP = (
    *("kafka_timestamp", "schema_id", "message_id", "currency", "is_late", "trade_value_usd"),
    *("revision", "is_final", "trade_count", "volume"),
)

# Of these, the columns that a table has say which of its rows are the newest.
_NEWEST = ("timestamp", "bar_start", "kafka_timestamp", "offset", "exchange", "symbol", "timeframe")


def show(
    table: Annotated[
        str,
        typer.Argument(
            help="Name of a table, as `k2 tables` lists them.", autocompletion=complete_table
        ),
    ],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many rows.")] = 10,
    symbol: Annotated[str | None, typer.Option(help="Only this market's.")] = None,
    exchange: Annotated[str | None, typer.Option(help="Only this exchange's.")] = None,
    since: Annotated[str | None, typer.Option(help="Time or day, UTC: 2026-07-07T09:30.")] = None,
    until: Annotated[str | None, typer.Option(help="Likewise; rows before it.")] = None,
    columns: Annotated[str | None, typer.Option(help="Names with commas between.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="All columns.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all columns as JSON, bytes as hexadecimal.")
    ] = False,
) -> None:
    """Show the newest rows of a table."""
    tables = StoredTables(Settings.load().lake)
    names = tables.columns(_checked(tables, table))
    where = [*of_market(symbol, exchange), *between(_time_of(names), since, until)]
    for column, *_ in where:
        if column not in names:
            raise ConfigError(
                f"Table {table} has no column {column}; its rows cannot be told by it."
            )
    chosen = None if columns is None else [name.strip() for name in columns.split(",")]
    found = newest(tables, table, limit, tables.checked(table, chosen), where)
    if as_json:
        print_json(found)
        return
    shown = chosen or [name for name in names if wide or name in _BRIEF]
    has_trade = "trade_id" in shown and chosen is None
    if has_trade and not wide:
        shown.remove("message_id")
    numbers = (
        *("price", "quantity", "trade_value_usd", "offset", "partition"),
        *("close", "volume", "trade_count", "revision"),
    )
    headings = {name: "right" if name in numbers else "left" for name in shown}
    print_table(
        f"{table}: newest {len(found)} rows",
        headings,
        [[cell_of(row[name]) for name in shown] for row in found],
        drop=(*_DROP, "partition", "offset", "side") if has_trade else _DROP,
        blocks=wide,
    )


def newest(
    tables: StoredTables,
    table: str,
    limit: int,
    columns: Sequence[str] | None = None,
    where: Sequence[Condition] = (),
) -> list[dict[str, Any]]:
    """Return the newest rows by trade time, or broker time where there is no trade.

    Raises:
        ConfigError: the table has not been created.
    """
    order = [name for name in _NEWEST if name in tables.columns(table)]
    rows: list[dict[str, Any]]
    rows = newest_rows(tables.opened(table), order, limit, columns, where).to_pylist()
    return rows


def _time_of(columns: Sequence[str]) -> str:
    return next(name for name in _NEWEST if name in columns)


def _checked(tables: StoredTables, name: str) -> str:
    """Return the name of a stored table; of what is not stored say whether it can be."""
    if name in tables.names():
        return name
    from k2.topology import all_tables  # all streams with it, which cost half a second

    known = [table.name for table in all_tables()]
    if name in known:
        raise ConfigError(f"There is no table {name} in {tables.lake} yet.")
    guess = did_you_mean(name, known)
    raise ConfigError(f"There is no table {name!r}.{guess} Tables: {', '.join(known)}.")

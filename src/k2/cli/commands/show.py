"""``k2 show``: the newest rows of a table."""

from typing import Annotated, Any

import typer

from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError, did_you_mean
from k2.settings import Settings
from k2.storage.delta import open_table
from k2.storage.scan import scan
from k2.storage.table import Table
from k2.topology import all_tables

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
    table: Annotated[str, typer.Argument(help="Name of a table, as `k2 tables` lists them.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many rows.")] = 10,
    wide: Annotated[bool, typer.Option("--wide", help="All columns.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all columns as JSON, bytes as hexadecimal.")
    ] = False,
) -> None:
    """Show the newest rows of a table."""
    settings = Settings.load()
    definition = _table_named(table)
    found = newest(settings, definition, limit)
    if as_json:
        print_json(found)
        return
    columns = [name for name in definition.columns if wide or name in _BRIEF]
    has_trade = "trade_id" in columns
    if has_trade and not wide:
        columns.remove("message_id")
    numbers = (
        *("price", "quantity", "trade_value_usd", "offset", "partition"),
        *("close", "volume", "trade_count", "revision"),
    )
    headings = {name: "right" if name in numbers else "left" for name in columns}
    print_table(
        f"{definition.name}: newest {len(found)} rows",
        headings,
        [[_cell(row[name]) for name in columns] for row in found],
        drop=(*_DROP, "partition", "offset", "side") if has_trade else _DROP,
        blocks=wide,
    )


def newest(settings: Settings, table: Table, limit: int) -> list[dict[str, Any]]:
    """Return the newest rows by trade time, or broker time where there is no trade.

    Raises:
        ConfigError: the table has not been created.
    """
    stored = open_table(settings.lake, table)
    if stored is None:
        raise ConfigError(f"There is no table {table.name} in {settings.lake} yet.")
    order = ", ".join(f'"{name}" desc' for name in _NEWEST if name in table.columns)
    rows: list[dict[str, Any]] = (
        scan(stored).table(f"true order by {order} limit {limit}").to_pylist()
    )
    return rows


def _table_named(name: str) -> Table:
    for table in all_tables():
        if table.name == name:
            return table
    known = [table.name for table in all_tables()]
    guess = did_you_mean(name, known)
    raise ConfigError(f"There is no table {name!r}.{guess} Tables: {', '.join(known)}.")


def _cell(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return f"{value[:16].hex()}… ({len(value)} bytes)" if len(value) > 16 else value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # an offset is there to be copied
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value

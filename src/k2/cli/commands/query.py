"""``k2 query``: SQL over the stored tables, and ``k2 export``: a table as a file."""

from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from k2.cli.options import complete_table
from k2.cli.render.printing import cell_of, print_json, print_table
from k2.cli.render.row_files import print_rows, write_rows
from k2.errors import ConfigError
from k2.lake.lake import Lake
from k2.lake.relation import Relation
from k2.settings import Settings

_SHOWN = 1_000  # rows that a terminal is given


class Format(StrEnum):
    """How rows are given."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def query_command(
    sql: Annotated[str, typer.Argument(help="One select; `show tables` lists the views.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="Default: of --to's ending, else a table.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="A file to write.")] = None,
) -> None:
    """Ask the stored tables in SQL: views gold, bars, silver_binance, dead_letters and others.

    Reads each table at one version, nothing but the tables, and changes nothing. Times are UTC.
    """
    with Lake(Settings.load().home) as lake:
        found = lake.sql(sql)
        if to is not None:
            kind = None if format_ in (None, Format.TABLE) else str(format_)
            typer.echo(f"{write_rows(found, to, kind):,} rows in {to}.")
        elif format_ is Format.PARQUET:
            raise ConfigError("Parquet is no text; name a file: --to rows.parquet.")
        elif format_ in (Format.CSV, Format.JSON):
            print_rows(found, format_)
        else:
            _print(found)


def export_command(
    table: Annotated[
        str,
        typer.Argument(
            help="Name of a table, as `k2 tables` lists them.", autocompletion=complete_table
        ),
    ],
    to: Annotated[Path, typer.Option("--to", help="A .csv, .json, .jsonl or .parquet file.")],
    columns: Annotated[
        str | None, typer.Option(help="Names with commas between; all without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a stored table, at one version, to a file."""
    wanted = None if columns is None else [name.strip() for name in columns.split(",")]
    with Lake(Settings.load().home) as lake:
        found = lake.table(table, columns=wanted)
        count = write_rows(found, to)
    if as_json:
        print_json(
            {"table": table, "version": found.versions[table], "rows": count, "file": str(to)}
        )
    else:
        typer.echo(f"{count:,} rows of {table} at version {found.versions[table]} in {to}.")


def _print(found: Relation) -> None:
    schema, rows = found.schema, _rows(found)
    shown = list(islice(rows, _SHOWN))
    numbers = [
        name for name, kind in zip(schema.names, schema.types, strict=True) if _is_number(kind)
    ]
    headings = {name: "right" if name in numbers else "left" for name in schema.names}
    print_table("", headings, [[cell_of(value) for value in row.values()] for row in shown])
    more = next(rows, None) is not None
    typer.echo(
        f"The first {_SHOWN:,} rows; --to FILE has all." if more else f"{len(shown):,} rows."
    )


def _rows(found: Relation) -> Any:
    for batch in found.arrow(_SHOWN):
        yield from batch.to_pylist()


def _is_number(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(kind) or types.is_decimal(kind) or types.is_floating(kind))

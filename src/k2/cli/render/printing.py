"""How the commands print: tables for people, JSON for programs."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from k2.cli.render.fitting_table import FittingTable

_NO_LIMIT = 10_000  # columns
# Our enumerations are text, as keys too.
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def print_json(value: Any) -> None:
    """Print a value as indented JSON; decimals and times become text, bytes their hexadecimal."""
    typer.echo(orjson.dumps(value, default=_json_text, option=_JSON).decode())


def _json_text(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)


def print_table(
    title: str,
    headings: Mapping[str, str],
    rows: Sequence[Sequence[Any]],
    drop: Sequence[str] = (),
    blocks: bool = False,
) -> None:
    """Print a table; ``headings`` gives each column's justification.

    It stays a list, a line a row: where the terminal is too narrow the columns in ``drop`` are left
    out, the first first. With ``blocks``, which somebody asked for, each row becomes a block of lines
    there, so that nothing is left out. What goes to a file or another program has all columns.
    """
    # COLUMNS, the terminal's width, or no limit where there is no terminal.
    console = Console(highlight=False, width=shutil.get_terminal_size((_NO_LIMIT, 24)).columns)
    cells = [[text_of(value) for value in row] for row in rows]
    table = FittingTable(headings, cells, escape(title), drop=drop)
    if not blocks or table.fits(console):
        console.print(table)
        return
    console.print(escape(title), style="italic")
    for cells_of_row in cells:
        block = Table.grid(padding=(0, 2, 0, 2))
        for heading, cell in zip(headings, cells_of_row, strict=True):
            block.add_row(heading, Text.from_markup(cell, overflow="fold"))
        console.print(block, "")


def text_of(value: Any) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        whole, point, places = f"{value:,f}".partition(".")
        return whole + (point + places).rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        whole = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{whole}.{value.microsecond:06}" if value.microsecond else whole
    return escape(str(value))


def cell_of(value: Any) -> Any:
    """Return a stored value as a cell of a table: bytes as hexadecimal, a list with commas."""
    if isinstance(value, bytes | bytearray):
        return f"{value[:16].hex()}… ({len(value)} bytes)" if len(value) > 16 else value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # an offset is there to be copied
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value


def bytes_text(size: int) -> str:
    """Return a size with its unit: ``1.2 MB``."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"

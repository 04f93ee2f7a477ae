"""How the commands print: tables for people, JSON for programs."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

# Our enumerations are text, as keys too.
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def print_json(value: Any) -> None:
    """Print a value as indented JSON; decimals and times become text, bytes their hexadecimal."""
    typer.echo(orjson.dumps(value, default=_json_text, option=_JSON).decode())


def _json_text(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)


def print_table(title: str, headings: dict[str, str], rows: list[list[Any]]) -> None:
    """Print a table; ``headings`` gives each column's justification.

    Where the terminal is too narrow for it, each row becomes a block of lines: a number broken over
    three lines is no number.
    """
    console = Console(highlight=False)
    cells = [[text_of(value) for value in row] for row in rows]
    for gap in (1, 0):  # beside the box's own blank
        table = _table(title, headings, cells, gap)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= (
            console.width
        ):
            console.print(table)
            return
    console.print(escape(title), style="italic")
    for cells_of_row in cells:
        block = Table.grid(padding=(0, 2, 0, 2))
        for heading, cell in zip(headings, cells_of_row, strict=True):
            block.add_row(heading, Text.from_markup(cell, overflow="fold"))
        console.print(block, "")


def _table(title: str, headings: dict[str, str], cells: list[list[str]], gap: int) -> Table:
    table = Table(
        title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0)
    )
    table.show_edge = table.pad_edge = False
    for heading, justify in headings.items():
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in cells:
        table.add_row(*row)
    return table


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


def bytes_text(size: int) -> str:
    """Return a size with its unit: ``1.2 MB``."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"

"""How the commands print: tables for people, JSON for programs."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Our enumerations are text, as keys too.
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def print_json(value: Any) -> None:
    """Print a value as indented JSON; decimals and times become text."""
    typer.echo(orjson.dumps(value, default=str, option=_JSON).decode())


def print_table(title: str, headings: dict[str, str], rows: list[list[Any]]) -> None:
    """Print a table; ``headings`` gives each column's justification."""
    table = Table(title=escape(title), title_justify="left")
    for heading, justify in headings.items():
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(text_of, row))
    Console().print(table)


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
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return escape(str(value))


def bytes_text(size: int) -> str:
    """Return a size with its unit: ``1.2 MB``."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"

"""``k2 tables``: what is stored."""

from typing import Annotated

import typer

from k2.cli.render.printing import bytes_text, print_json, print_table
from k2.offline import stored_tables
from k2.settings import Settings


def tables(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tables with rows, files, size and where they are."""
    settings = Settings.load()
    found = stored_tables(settings)
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo(f"No tables in {settings.lake} yet. `k2 up` or `k2 drain` makes them.")
        return
    headings = {
        "table": "left",
        "rows": "right",
        "files": "right",
        "size": "right",
        "version": "right",
    }
    rows = [
        [f["table"], f["rows"], f["files"], bytes_text(f["bytes"]), f["version"]] for f in found
    ]
    print_table(f"Delta tables in {settings.lake}", headings, rows)

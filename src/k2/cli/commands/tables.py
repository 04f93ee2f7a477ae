"""``k2 tables``: what is stored."""

from typing import Annotated, Any

import typer

from k2.cli.render.printing import bytes_text, print_json, print_table
from k2.settings import Settings
from k2.storage.delta import open_table, table_path
from k2.topology import all_tables


def tables(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tables with rows, files, size and where they are."""
    settings = Settings.load()
    found = [facts for table in all_tables() if (facts := _facts(settings, table)) is not None]
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


def _facts(settings: Settings, table: Any) -> dict[str, Any] | None:
    stored = open_table(settings.lake, table)
    if stored is None:
        return None
    adds = stored.get_add_actions(flatten=True)
    return {
        "table": table.name,
        "rows": sum(adds["num_records"].to_pylist()),
        "files": len(adds["path"]),
        "bytes": sum(adds["size_bytes"].to_pylist()),
        "version": stored.version(),
        "comment": table.comment,
        "path": str(table_path(settings.lake, table)),
    }

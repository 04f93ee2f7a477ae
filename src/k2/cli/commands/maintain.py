"""``k2 maintain``: fewer, larger files, and none that nothing needs."""

from typing import Annotated, Any

import typer

from k2.cli.offline import local_streams
from k2.cli.render.printing import bytes_text, print_json, print_table
from k2.engine.table_owner import execute_on_owner
from k2.engine.table_requests import MAINTAIN, Request
from k2.observability.logs import configure_logs
from k2.settings import Settings
from k2.topology import consumers_of


def maintain_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compact closed partitions and delete files that nothing needs.

    What a version that is still in a table's log refers to stays: those of the last hour
    (K2_HISTORY_MINUTES), and all that a stream has not read. Running streams do this by themselves;
    works beside them.
    """
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    streams = local_streams(settings)
    readers = {
        table: [str(checkpoint) for checkpoint in checkpoints]
        for table, checkpoints in consumers_of(streams, settings).items()
    }
    options = {"readers": readers, "dry_run": dry_run}
    found: dict[str, dict[str, Any]] = {}
    for stream in streams:
        found |= execute_on_owner(Request(MAINTAIN, stream.name, options), stream, settings)
    if as_json:
        print_json({"dry_run": dry_run, "tables": found})
        return
    headings = {"table": "left"} | dict.fromkeys(
        ("files", "now", "size", "now ", "compacted", "deleted", "kept"), "right"
    )
    rows = [
        [
            *(name, f["before"]["files"], f["after"]["files"]),
            *(bytes_text(f["before"]["bytes"]), bytes_text(f["after"]["bytes"])),
            *(f["partitions_compacted"], f["files_deleted"]),
            f"{f['retention_hours']:g} h",
        ]
        for name, f in found.items()
    ]
    print_table("Would be done" if dry_run else "Done", headings, rows)

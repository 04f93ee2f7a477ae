"""``k2 maintain``: fewer, larger files, and none that nothing needs."""

from typing import Annotated

import typer

from k2.cli.job_client import DETACH_HELP, run_as_job
from k2.cli.render.printing import bytes_text, print_json, print_table
from k2.observability.logs import configure_logs
from k2.settings import Settings


def maintain_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help=DETACH_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compact closed partitions and delete files that nothing needs.

    What a version that is still in a table's log refers to stays: those of the last hour
    (K2_HISTORY_MINUTES), and all that a stream has not read. Running streams do this by themselves;
    works beside them.
    """
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    result = run_as_job(
        settings,
        "maintain",
        {"dry_run": dry_run, "fail_on_nothing": False},
        title="Looking after the tables",
        detach=detach,
    )
    found = result["tables"]
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

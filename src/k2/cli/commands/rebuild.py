"""``k2 rebuild``: would today's code make the tables what they are?"""

from typing import Annotated

import typer

from k2.cli.app import group_of
from k2.cli.job_client import DETACH_HELP, run_as_job
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError
from k2.observability.logs import configure_logs
from k2.quality.table_diff import TableDifference
from k2.settings import Settings

rebuild = group_of("Decode Bronze anew and compare with what is stored.")


@rebuild.callback()
def _group() -> None:
    """Keep ``silver`` a command of the group."""


@rebuild.command("silver")
def silver(
    exchange: Annotated[str, typer.Option(help="Whose tables.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare only (the one way so far).")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help=DETACH_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide all of Bronze with today's code and instruments; print how Silver would differ.

    Compares Silver, duplicates and open dead letters field by field, up to the newest record that
    the stream had decided when this began. Exits with 1 when anything differs. Changes nothing.
    """
    if not dry_run:
        raise ConfigError("Silver is append-only and is not replaced in place: give --dry-run.")
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    result = run_as_job(
        settings,
        "rebuild-silver",
        {"exchange": exchange, "fail_on_nothing": False},
        title="Deciding Bronze again",
        detach=detach,
    )
    if as_json:
        print_json(result)
    else:
        _print([TableDifference(**table) for table in result["tables"]], result["pending"])
    if not result["equal"]:
        raise typer.Exit(1)


def _print(found: list[TableDifference], pending: int) -> None:
    headings = {"table": "left"} | dict.fromkeys(
        ("live", "rebuilt", "added", "removed", "changed"), "right"
    )
    rows = [
        [f.table, f.live, f.rebuilt, f.added, f.removed, max(f.changed.values(), default=0)]
        for f in found
    ]
    print_table("Today's code beside what is stored", headings, rows)
    for difference in found:
        for name, count in difference.changed.items():
            typer.echo(f"{difference.table}: {name} differs in {count:,} records")
        for what, samples in difference.samples.items():
            for sample in samples:
                typer.echo(f"{difference.table}: {what}: {sample}")
    if pending:
        typer.echo(f"{pending:,} records of Bronze are not decided yet and were left out.")

"""``k2 upgrade``: tables of an older version made anew from Bronze, proven, and swapped in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from k2.cli.job_client import DETACH_HELP, run_as_job
from k2.cli.render.printing import print_json, print_table
from k2.cli.step_lines import StepLines, print_result
from k2.engine.stream import lock_names
from k2.errors import FailedError
from k2.exchanges import EXCHANGES
from k2.home.locks import exclusive
from k2.observability.logs import configure_logs
from k2.offline import local_streams, schemas_of
from k2.settings import Settings
from k2.upgrade.build import Build
from k2.upgrade.plan import (
    Workplace,
    begin,
    make_plan,
    old_tables,
    remove,
    replaced_tables,
)
from k2.upgrade.proof import Summary, prove, refuse_lost_bronze
from k2.upgrade.swap import begin_swap, finish_swap

_ROOM = 1.2  # of what the old tables take


def upgrade_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build and compare only; the tables stay.")
    ] = False,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Keep the old tables in K2_HOME/before-upgrade-N.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help=DETACH_HELP)] = False,
    here: Annotated[bool, typer.Option("--here", hidden=True, help="The job does this.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild tables of an older version from Bronze and swap them in.

    Silver, dead letters, duplicates, Gold and bars are made anew beside the live ones, every record
    is accounted for, and what differs is printed before the new ones take their place. The streams
    must be stopped. After a crash the same command goes on where it ended.
    """
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    if here:
        print_result(_briefly(upgrade_here(settings, dry_run, keep_old, for_job=True)))
        return
    if _has_nothing_to_do(settings):
        found = upgrade_here(settings, dry_run, keep_old)
    else:
        params = {"dry_run": dry_run, "keep_old": keep_old}
        found = run_as_job(settings, "upgrade", params, title="Upgrading", detach=detach)
    if as_json:
        print_json(found)
    else:
        _report(found, dry_run)


def _has_nothing_to_do(settings: Settings) -> bool:
    return not (Workplace(settings).moves.exists() or old_tables(settings.lake, EXCHANGES))


def upgrade_here(
    settings: Settings, dry_run: bool, keep_old: bool, for_job: bool = False
) -> dict[str, Any]:
    """Upgrade in this process, and return what was done; ``for_job`` prints a line at each step's end.

    Raises:
        K2Error: it cannot be done; the tables are as they were.
    """
    workplace = Workplace(settings)
    with _alone(settings):
        if workplace.moves.exists():
            finish_swap(workplace, keep_old)
            return {"upgraded": True}
        old = old_tables(settings.lake, EXCHANGES)
        if not old:
            remove(workplace)
            return {"upgraded": False, "tables": []}
        summary = _build(workplace, for_job)
        if not dry_run:
            tables = [table.name for table in replaced_tables(EXCHANGES)]
            begin_swap(workplace, tables, _streams_of(workplace))
            finish_swap(workplace, keep_old)
    return {
        "upgraded": not dry_run,
        "tables": [asdict(table) for table in old],
        "differences": [asdict(found) for found in summary.differences],
        "balance": [account.public() for account in summary.balances],
    }


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the tables and checkpoints of every stream."""
    names = {name for stream in local_streams(settings) for name in lock_names(stream)}
    with exclusive(settings.run / "locks", sorted(names), "k2 upgrade"):
        yield


def _build(workplace: Workplace, for_job: bool) -> Summary:
    settings = workplace.settings
    refuse_lost_bronze(settings, EXCHANGES)
    plan = make_plan(settings, EXCHANGES)
    if not begin(workplace, plan):
        _refuse_small_disk(settings)
    with Console(stderr=True).status("Upgrading …") as spinner:
        progress = StepLines(spinner, for_job)
        Build(workplace, plan, EXCHANGES, schemas_of(settings)).run(progress.update, progress.ended)
        spinner.update("Accounting for every record, and comparing …")
        summary = prove(workplace, EXCHANGES)
        progress.ended("proof", sum(account.bronze for account in summary.balances))
        return summary


def _briefly(found: dict[str, Any]) -> dict[str, Any]:
    """Keep one example of what differs, which is enough for the registry."""
    for difference in found.get("differences", ()):
        difference["samples"] = {n: s[:1] for n, s in difference["samples"].items()}
    return found


def _streams_of(workplace: Workplace) -> list[str]:
    """The streams whose checkpoints the build has."""
    offsets = workplace.build.checkpoints.glob("*/*/offsets")
    return sorted("/".join(path.parent.parts[-2:]) for path in offsets)


def _refuse_small_disk(settings: Settings) -> None:
    folders = [settings.lake / table.name for table in replaced_tables(EXCHANGES)]
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    wanted = int(sum(path.stat().st_size for path in files) * _ROOM)
    free = shutil.disk_usage(settings.home).free
    if free < wanted:
        raise FailedError(
            f"The new tables are built beside the old ones and need some {wanted / 1e9:.1f} GB; the "
            f"disk of {settings.home} has {free / 1e9:.1f} GB free. Nothing was changed."
        )


def _report(found: dict[str, Any], dry_run: bool) -> None:
    if "tables" not in found:
        typer.echo("The swap that was interrupted is finished.")
        return
    if not found["tables"]:
        typer.echo("Every table is of this K2's version.")
        return
    for table in found["tables"]:
        typer.echo(f"{table['table']}: version {table['version']}, wanted {table['wanted']}")
    headings = {"table": "left"} | dict.fromkeys(
        ("old", "new", "added", "removed", "changed"), "right"
    )
    rows = [
        [
            *(d["table"], d["live"], d["rebuilt"], d["added"], d["removed"]),
            max(d["changed"].values(), default=0),
        ]
        for d in found["differences"]
    ]
    print_table("The new tables beside the old ones", headings, rows)
    for difference in found["differences"]:
        for name, count in difference["changed"].items():
            typer.echo(
                f"{difference['table']}: {name} differs in {count:,}"
                f" records{_example(difference, name)}"
            )
    for account in found["balance"]:
        typer.echo(
            f"{account['exchange']}: {account['bronze']:,} records of Bronze ="
            f" {account['silver']:,} trades + {account['dead_letters']:,} dead letters +"
            f" {account['duplicates']:,} duplicates; {account['gold']:,} in Gold"
        )
    if dry_run:
        typer.echo("Nothing was changed. `k2 upgrade` goes on with what is built.")
    else:
        typer.echo("Upgraded. `k2 up` or `k2 drain` goes on from here.")


def _example(difference: dict[str, Any], name: str) -> str:
    """The first record that differs: what it was and what it will be."""
    samples = difference["samples"].get(name)
    if not samples:
        return ""
    return f", such as {samples[0]['record']}: {samples[0]['live']} → {samples[0]['rebuilt']}"

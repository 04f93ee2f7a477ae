"""``k2 doctor``: what this machine has, and what to do about what it lacks."""

import json
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from k2.cli.checks.check import Check, State
from k2.cli.checks.environment import check_environment
from k2.cli.checks.file_system import check_file_system
from k2.cli.checks.machine import check_machine
from k2.cli.checks.services import check_services
from k2.environment import inherited
from k2.local.orphans import find_orphans, run_owner
from k2.settings import Settings


def doctor(
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also ask Kafka and the registry, and try the file system."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check what K2 needs on this machine; exit 1 when something essential is missing."""
    checks = list(run_checks(Settings.load(), deep))
    healthy = all(check.state is not State.MISSING for check in checks)
    if as_json:
        listed = [check._asdict() for check in checks]
        typer.echo(json.dumps({"ok": healthy, "checks": listed}))
    else:
        Console().print(_table(checks))
    if not healthy:
        raise typer.Exit(1)


def run_checks(settings: Settings, deep: bool = False) -> Iterator[Check]:
    """Look at everything, changing nothing; ``deep`` at what takes asking and trying, too."""
    yield from check_machine(settings, run_owner(settings) is not None)
    yield _check_run(settings)
    if deep:
        yield from check_file_system(settings)
        yield from check_environment(settings, inherited())
        yield from check_services(settings)


def _check_run(settings: Settings) -> Check:
    owner = run_owner(settings)
    if owner is not None:
        return Check("Run", State.OK, f"in progress (process {owner.pid})")
    left = find_orphans(settings)
    if left:
        found = f"left by a run that was killed: {', '.join(left)}"
        return Check("Run", State.WARNING, found, "Run `k2 down`; `k2 up` ends them, too.")
    return Check("Run", State.OK, "none in progress, nothing left over")


def _table(checks: list[Check]) -> Table:
    colour = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "red"}
    table = Table("Check", "State", "Found", "What to do", box=None, pad_edge=False)
    for check in checks:
        state = f"[{colour[check.state]}]{check.state.value}[/]"
        table.add_row(check.name, state, escape(check.found), escape(check.remedy))
    return table

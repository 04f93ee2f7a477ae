"""``k2 quality``: run quality checks, and show what they found."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer

from k2.cli.app import group_of
from k2.cli.options import seconds_of
from k2.cli.render.printing import print_json, print_table
from k2.errors import ConfigError
from k2.observability.logs import configure_logs
from k2.quality.check_run import CheckRun
from k2.quality.checks.catalogue import check_named, checks_every
from k2.quality.checks.check import Check, Severity
from k2.quality.results import read_results
from k2.quality.run_checks import CheckRunner
from k2.settings import Settings

quality = group_of("Run quality checks, and show what they found.")


@quality.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the checks: how often each runs, how bad a finding is, and the thresholds."""
    settings = Settings.load()
    rows = [_described(check, settings) for check in checks_every(settings.quality_periods)]
    if as_json:
        print_json(rows)
        return
    headings = {"check": "left", "severity": "left", "every": "right", "thresholds": "left"}
    print_table(
        "Quality checks",
        headings,
        [
            [
                row["check"],
                row["severity"],
                _duration(row["every_seconds"]),
                ", ".join(f"{name}={value:g}" for name, value in row["thresholds"].items()),
            ]
            for row in rows
        ],
    )


@quality.command("run")
def run_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Checks; or all, or due: those whose time it is.", metavar="[NAME]..."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_lines: Annotated[
        bool, typer.Option("--json-lines", hidden=True, help="A line a check, as it ends.")
    ] = False,
) -> None:
    """Run checks over what is new since their last run, and keep the results.

    Exits with 1 when a check of severity error is violated, or crashes.
    """
    runs = []
    for run in run_checks(Settings.load(), *(names or ["all"])):
        runs.append(run)
        if as_lines:
            typer.echo(orjson.dumps(run.public()))
    if as_json:
        print_json([run.public() for run in runs])
    elif not as_lines:
        _print_runs(runs)
    if any(is_bad(run) for run in runs):
        raise typer.Exit(1)


@quality.command("history")
def history_command(
    name: Annotated[str, typer.Argument(help="A check; all without it.")] = "",
    since: Annotated[str, typer.Option(help="How far back, such as 24h or 30m.")] = "24h",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show past results, newest first: each run of a check in a line."""
    if name:
        check_named(name)
    rows = _stored(since, name)
    runs: dict[str, dict[str, Any]] = {}
    for row in rows:
        run = runs.setdefault(
            row["run_id"],
            {"run_at": row["run_at"], "check": row["check"], "severity": row["severity"],
             "run_id": row["run_id"], "violated": 0, "looked_at": 0, "status": "passed"},
        )  # fmt: skip
        run["looked_at"] += 1
        run["violated"] += row["status"] != "passed"
        if row["status"] != "passed":
            run["status"] = row["status"]
    if as_json:
        print_json(list(runs.values()))
        return
    headings = {
        "run at": "left",
        "check": "left",
        "status": "left",
        "violated": "right",
        "run": "left",
    }
    print_table(
        "Quality history",
        headings,
        [
            [f"{r['run_at']:%Y-%m-%d %H:%M:%S}", r["check"], r["status"],
             f"{r['violated']}/{r['looked_at']}", r["run_id"][:12]]
            for r in runs.values()
        ],
    )  # fmt: skip


@quality.command("show")
def show_command(
    run: Annotated[str, typer.Argument(help="A run, or the begin of its id, as history shows it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show all that one run found, with the keys of the rows concerned."""
    rows = [row for row in _stored("720h", "") if row["run_id"].startswith(run)]
    if not rows:
        raise ConfigError(f"No run {run!r} within 30 days; see `k2 quality history`.")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        where = " ".join(filter(None, (row["exchange"], row["symbol"])))
        typer.echo(f"{row['status']:7} {row['check']} {where}: {row['message']}")
        for key in row["keys"]:
            typer.echo(f"          {key}")


def run_checks(settings: Settings, *names: str) -> Iterator[CheckRun]:
    """Run checks by name, ``all`` of them, or those that are ``due``; yield each run as it ends.

    Raises:
        ConfigError: there is no such check, or no tables at all.
    """
    configure_logs(settings)
    if not settings.lake.is_dir():
        raise ConfigError(f"{settings.home} holds no tables; set K2_HOME, or start `k2 up`.")
    runner = CheckRunner(settings, thresholds=settings.quality_thresholds)
    every_one = checks_every(settings.quality_periods)
    chosen: list[Check] = []
    for name in names:
        if name == "due":
            chosen += runner.due(every_one)
        else:
            chosen += every_one if name == "all" else [check_named(name)]
    return map(runner.run, {check.name: check for check in chosen}.values())


def is_bad(run: CheckRun) -> bool:
    """Tell whether a run must fail its caller."""
    return run.status == "crashed" or (
        run.status == "failed" and run.check.severity is Severity.ERROR
    )


def _print_runs(runs: list[CheckRun]) -> None:
    headings = {"check": "left", "severity": "left", "status": "left", "violated": "right"}
    print_table(
        "Quality checks",
        headings,
        [
            [
                r.check.name,
                str(r.check.severity),
                r.status,
                f"{len(r.violations)}/{len(r.findings)}",
            ]
            for r in runs
        ],
    )
    for run in runs:
        if run.error:
            typer.echo(f"{run.check.name}: crashed: {run.error}")
        for finding in run.violations:
            where = " ".join(filter(None, (finding.exchange, finding.symbol)))
            typer.echo(f"{run.check.name}: {where}: {finding.message}")
            if finding.keys:
                typer.echo(f"  {', '.join(finding.keys[:5])}")


def _stored(since: str, name: str) -> list[dict[str, Any]]:
    begin = datetime.now(UTC) - timedelta(seconds=seconds_of(since))
    return list(read_results(Settings.load().lake, begin, name).to_pylist())


def _described(check: Check, settings: Settings) -> dict[str, Any]:
    known = settings.quality_thresholds
    return {
        "check": check.name,
        "title": check.title,
        "severity": str(check.severity),
        "every_seconds": check.every.total_seconds(),
        "thresholds": {
            name: known.get(f"{check.name}.{name}", value)
            for name, value in check.thresholds.items()
        },
    }


def _duration(seconds: float) -> str:
    if not seconds:
        return "by hand"
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"

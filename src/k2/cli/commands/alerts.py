"""``k2 alerts``: what fires, and where it says what to do."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from k2.cli.render.printing import print_json, text_of
from k2.errors import UnavailableError
from k2.local.alerts import WATCHDOG, Alert, active_alerts
from k2.local.monitoring import monitoring_urls
from k2.settings import Settings

_COLORS = {"critical": "red", "warning": "yellow"}


def alerts(
    prometheus: Annotated[
        str | None, typer.Option(help="Address of a Prometheus; else the one that K2 runs.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="End with 1 if an alert fires.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the alerts that fire or soon will, each with its runbook, as Prometheus evaluated them."""
    settings = Settings.load()
    address = prometheus or monitoring_urls(settings).get("prometheus")
    if address is None:
        raise UnavailableError(
            f"No Prometheus runs with {settings.home}, so no alert is evaluated. `k2 up --monitoring`"
            " starts one; `k2 status --check` looks without it, and --prometheus names another."
        )
    found = active_alerts(address)
    ours = [alert for alert in found if alert.name != WATCHDOG]
    firing = [alert for alert in ours if alert.state == "firing"]
    if as_json:
        print_json({"prometheus": address, "alerts": [asdict(alert) for alert in found]})
    else:
        _show(ours, alive=len(found) > len(ours), address=address)
    if check and firing:
        raise typer.Exit(1)


def _show(found: list[Alert], alive: bool, address: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for alert in found:
        color = _COLORS.get(alert.severity, "default")
        state = "fires" if alert.state == "firing" else "pending"
        console.print(
            f"[{color}]{escape(alert.severity or '–'):<8}[/] {escape(alert.name)} {state}"
            f" since {_moment(alert.since)}: {escape(alert.summary)}"
        )
        console.print(f"         {escape(alert.description)}")
        console.print(f"         runbook: {escape(alert.runbook or 'none')}")
    if not found:
        console.print("No alert fires.")
    if not alive:
        console.print(
            f"{WATCHDOG}, which fires always, does not: {escape(address)} has not evaluated K2's rules"
            " yet, or has not loaded them."
        )


def _moment(since: str) -> str:
    try:
        return text_of(datetime.fromisoformat(since).replace(microsecond=0)) + " UTC"
    except ValueError:
        return since

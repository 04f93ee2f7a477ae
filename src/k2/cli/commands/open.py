"""``k2 open``: the pages of a running K2 in the browser."""

import sys
from typing import Annotated

import typer

from k2.cli.render.printing import print_json, print_table
from k2.environment import has_display
from k2.errors import ConfigError, UnavailableError, did_you_mean
from k2.local.addresses import places
from k2.settings import Settings


def open_command(
    place: Annotated[
        str | None, typer.Argument(help="ui, dashboards, alerts, api or docs; all without it.")
    ] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Print the address only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all addresses as JSON.")] = False,
) -> None:
    """Print the address of a page, and open it where there is a screen."""
    found = places(Settings.load())
    if as_json:
        print_json({name: each.url for name, each in found.items()})
        return
    if place is None:
        rows = [[name, each.what, each.url or each.otherwise] for name, each in found.items()]
        print_table("", {"name": "left", "what": "left", "address": "left"}, rows)
        return
    if place not in found:
        raise ConfigError(
            f"There is no page {place!r}.{did_you_mean(place, found)} There are: {', '.join(found)}."
        )
    if (url := found[place].url) is None:
        raise UnavailableError(found[place].otherwise)
    typer.echo(url)
    if not print_only and sys.stdout.isatty() and has_display():
        typer.launch(url)

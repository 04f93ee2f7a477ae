"""``k2 config``: every setting with where it is from, and whether all can be used."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from k2.cli.render.printing import print_json, print_table
from k2.config_file import NAME
from k2.errors import ConfigError
from k2.home.login import kafka_address, registry_address
from k2.observability.redaction import redacted
from k2.setting_origins import (
    exposed_secrets,
    missing_files,
    setting_origins,
    unknown_settings,
)
from k2.settings import Settings


class Action(StrEnum):
    """What is done with the settings."""

    SHOW = "show"
    CHECK = "check"


def config(
    action: Annotated[
        Action, typer.Argument(help="show every setting, or check that all can be used.")
    ] = Action.SHOW,
    only_set: Annotated[
        bool, typer.Option("--set", help="Only those that are not the default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the settings with their origin: default, environment, k2.toml or file; secrets as ***."""
    if action is Action.CHECK:
        _check(as_json)
        return
    found = [
        each
        for each in setting_origins(Settings.load())
        if not only_set or each.origin != "default"
    ]
    if as_json:
        print_json([redacted(asdict(each)) for each in found])
        return
    if not found:
        typer.echo(f"Every setting is the default. {NAME} or K2_* variables change them.")
        return
    headings = {"setting": "left", "value": "left", "origin": "left"}
    rows = [[e.name, _text(redacted(e.value)), e.origin] for e in found]
    print_table("", headings, rows)


def _check(as_json: bool) -> None:
    problems = [
        f"{name} is no setting of K2 and changes nothing.{guess}"
        for name, guess in unknown_settings().items()
    ]
    try:
        settings = Settings.load()
    except ConfigError as error:
        problems.append(str(error))
    else:
        problems += missing_files(settings)
        problems += filter(None, [exposed_secrets()])
        for address in (kafka_address, registry_address):
            try:
                address(settings)
            except ConfigError as error:
                problems.append(str(error))
    problems = list(dict.fromkeys(redacted(problems)))
    if as_json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            typer.echo(problem)
        if not problems:
            typer.echo(f"All {len(Settings.model_fields)} settings can be used.")
    if problems:
        raise typer.Exit(ConfigError.exit_code)


def _text(value: object) -> str:
    return "" if value is None else str(value)

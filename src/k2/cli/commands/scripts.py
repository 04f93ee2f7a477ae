"""``k2 scripts``: where the scripts for ``spark-submit`` are."""

from typing import Annotated

import typer

from k2.errors import ConfigError, did_you_mean
from k2.shipped import shipped_folder


def scripts(
    name: Annotated[
        str | None,
        typer.Argument(help="bronze, silver, gold, ohlcv or quality; their folder without it."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Print the path of each.")] = False,
) -> None:
    """Print the path of a script for spark-submit: spark-submit --jars "$(k2 jars)" "$(k2 scripts gold)"."""
    folder = shipped_folder("jobs")
    there = {path.stem: path for path in sorted(folder.glob("*.py"))}
    if name is not None and name not in there:
        raise ConfigError(
            f"There is no script {name!r}.{did_you_mean(name, there)} There are: {', '.join(there)}."
        )
    if listed:
        typer.echo("\n".join(str(path) for path in there.values()))
    else:
        typer.echo(str(folder if name is None else there[name]))

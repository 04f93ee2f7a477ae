"""``k2 jars``: paths for ``spark-submit --jars``."""

import json
from typing import Annotated

import typer

from k2.jvm.jars import Group, coordinates, resolve
from k2.settings import Settings


def jars(
    group: Annotated[Group, typer.Option(help="Whose jars.")] = Group.SPARK,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Print the paths of the pinned jars, comma-joined; fetch them the first time.

    For ``spark-submit --jars "$(k2 jars)"``: stdout has the paths only, progress goes to stderr.
    """
    settings = Settings.load()
    paths = [str(path) for path in resolve(group, settings.jar_cache, offline=settings.offline)]
    if as_json:
        found = {"group": group.value, "coordinates": coordinates(group), "jars": paths}
        typer.echo(json.dumps(found))
    else:
        typer.echo(",".join(paths))

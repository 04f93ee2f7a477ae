"""``k2 down``: stop what runs on this home."""

from typing import Annotated

import psutil
import typer

from k2.cli.render.printing import print_json
from k2.errors import FailedError
from k2.local.orphans import clean_leftovers, run_owner
from k2.settings import Settings

_PATIENCE = 120.0  # the first run to end writes archives of classes


def down(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was stopped.")] = False,
) -> None:
    """Stop what `k2 up` started on this K2_HOME, and clean up after one that was killed."""
    settings = Settings.load()
    stopped = _stop_run(settings)
    cleaned = clean_leftovers(settings)
    if as_json:
        print_json({"stopped": stopped, "cleaned": cleaned})
    elif stopped or cleaned:
        typer.echo(f"Stopped. Everything stays in {settings.home}.")
    else:
        typer.echo(f"Nothing runs on {settings.home}.")


def _stop_run(settings: Settings) -> int | None:
    """Ask the run's own process, which stops all it started; return its id."""
    owner = run_owner(settings)
    if owner is None:
        return None
    owner.terminate()
    try:
        owner.wait(_PATIENCE)
    except psutil.TimeoutExpired:
        owner.kill()
        raise FailedError(
            f"Process {owner.pid} did not stop within {_PATIENCE:.0f} s and was killed."
            " Run `k2 down` again to clean up after it."
        ) from None
    return owner.pid

"""``k2 down``: stop what runs on this home."""

import time
from contextlib import suppress
from typing import Annotated

import psutil
import typer

from k2.cli.render.printing import print_json
from k2.errors import FailedError
from k2.local.orphans import clean_orphans, run_owner
from k2.local.process import ProcessRecord
from k2.settings import Settings

_PATIENCE_SECONDS = 120.0  # the first run to end writes archives of classes
_LOOK_SECONDS = 0.2
_TITLES = {
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "kafka": "Kafka",
    "registry": "the registry",
}


def down(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was stopped.")] = False,
) -> None:
    """Stop what `k2 up` started on this K2_HOME, and clean up after one that was killed."""
    settings = Settings.load()
    stopped = _stop_run(settings)
    cleaned = clean_orphans(settings)
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
    began = time.monotonic()
    said = ""
    while run_owner(settings) is not None:
        seconds = time.monotonic() - began
        if seconds > _PATIENCE_SECONDS:
            owner.kill()
            raise FailedError(
                f"Process {owner.pid} did not stop within {_PATIENCE_SECONDS:.0f} s and was killed."
                " Run `k2 down` again to clean up after it."
            )
        if (now := _describe_rest(settings, owner)) != said:
            said = now
            typer.echo(f"Stopping (process {owner.pid}, {seconds:.0f} s): {now} …", err=True)
        time.sleep(_LOOK_SECONDS)
    return owner.pid


def _describe_rest(settings: Settings, owner: psutil.Process) -> str:
    """Name what has not ended yet, in the order in which it does."""
    rest = []
    with suppress(psutil.Error):
        commands = [child.cmdline() for child in owner.children()]
        if any("simulate" in command for command in commands):
            rest.append("the feed")
        if any("pyspark-shell" in command for command in commands):
            rest.append("streams and Spark")
    for name, title in _TITLES.items():
        record = ProcessRecord.load(settings.run / f"{name}.json")
        if record is not None and record.process() is not None:
            rest.append(title)
    return ", ".join(rest) or "the run itself"

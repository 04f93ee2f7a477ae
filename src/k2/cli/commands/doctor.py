"""``k2 doctor``: what this machine has, and what to do about what it lacks."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import psutil
import typer
from rich.console import Console
from rich.table import Table

from k2.errors import ConfigError
from k2.home.ports import holder, is_free
from k2.jvm.jars import Group, cached
from k2.jvm.java import find_java
from k2.local.orphans import leftovers, run_owner
from k2.observability.metrics_server import port_of, stream_names
from k2.settings import Settings

_GIB = 2**30
_DISK_NEEDED, _DISK_WANTED = 1 * _GIB, 5 * _GIB
_MEMORY_NEEDED, _MEMORY_WANTED = 2 * _GIB, 4 * _GIB


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


class Check(NamedTuple):
    """One thing looked at."""

    name: str
    state: State
    found: str
    remedy: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check what K2 needs on this machine; exit 1 when something essential is missing."""
    checks = list(run_checks(Settings.load()))
    healthy = all(check.state is not State.MISSING for check in checks)
    if as_json:
        listed = [check._asdict() for check in checks]
        typer.echo(json.dumps({"ok": healthy, "checks": listed}))
    else:
        Console().print(_table(checks))
    if not healthy:
        raise typer.Exit(1)


def run_checks(settings: Settings) -> Iterator[Check]:
    """Look at everything, changing nothing."""
    running = run_owner(settings) is not None
    yield _python()
    yield _java(settings)
    for group in (Group.SPARK, Group.KAFKA, Group.REGISTRY):
        yield _jars(group, settings)
    yield _home(settings)
    yield _disk(settings)
    yield _memory(running)
    yield from _ports(settings, running)
    yield _run(settings)


def _python() -> Check:
    return Check("Python", State.OK, ".".join(map(str, sys.version_info[:3])))


def _java(settings: Settings) -> Check:
    try:
        java = find_java(settings.java_home, settings.java_variable)
    except ConfigError as error:
        return Check("Java", State.MISSING, "none that K2 can use", str(error))
    return Check("Java", State.OK, f"{java.version} in {java.executable.parent.parent}")


def _jars(group: Group, settings: Settings) -> Check:
    name = f"{group.value} jars"
    if cached(group, settings.jar_cache) is not None:
        return Check(name, State.OK, f"in {settings.jar_cache}")
    if settings.offline:
        remedy = f"Run `k2 jars --group {group.value}` once with a network and without K2_OFFLINE."
        return Check(name, State.MISSING, "not fetched, and K2_OFFLINE is set", remedy)
    remedy = f"The first run fetches them; or run `k2 jars --group {group.value}` now."
    return Check(name, State.WARNING, "not fetched yet", remedy)


def _home(settings: Settings) -> Check:
    nearest = _nearest_folder(settings.home)
    try:
        # Permission bits do not tell: the super-user, a read-only or a special file system.
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        found = f"{settings.home}: {nearest} cannot be written ({error.strerror})"
        remedy = "Set K2_HOME to a folder that can be written."
        return Check("K2_HOME", State.MISSING, found, remedy)
    return Check("K2_HOME", State.OK, str(settings.home))


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(_nearest_folder(settings.home)).free
    remedy = "" if free >= _DISK_WANTED else "Make room, or set K2_HOME on another disk."
    return Check("Disk", _level(free, _DISK_NEEDED, _DISK_WANTED), f"{_gib(free)} free", remedy)


def _memory(running: bool) -> Check:
    available = psutil.virtual_memory().available
    found = f"{_gib(available)} available"
    if running:  # and has taken what it needs
        return Check("Memory", State.OK, found)
    state = _level(available, _MEMORY_NEEDED, _MEMORY_WANTED)
    remedy = "" if state is State.OK else f"K2 takes up to {_gib(_MEMORY_WANTED)}; close something."
    return Check("Memory", state, found, remedy)


def _ports(settings: Settings, running: bool) -> Iterator[Check]:
    first = settings.metrics_port
    wanted = {port_of(stream, first): "metrics" for stream in stream_names() if first}
    for port, use in (
        (settings.ui_port, "Spark UI"),
        (settings.kafka_port, "Kafka"),
        (settings.registry_port, "registry"),
    ):
        if port:
            wanted[port] = use
    if running:
        yield Check("Ports", State.OK, "in use by the run in progress")
        return
    taken = {port: use for port, use in wanted.items() if not is_free(port)}
    if not taken:
        yield Check("Ports", State.OK, f"{', '.join(map(str, wanted))} are free")
    for port, use in taken.items():
        # Spark takes the next one; nobody else starts without the port that was asked for.
        needed = use != "Spark UI"
        variable = {"metrics": "METRICS", "Spark UI": "UI"}.get(use, use.upper())
        yield Check(
            f"Port {port} ({use})",
            State.MISSING if needed else State.WARNING,
            f"taken by {holder(port) or 'another process'}",
            f"Stop what holds it, or set K2_{variable}_PORT to another.",
        )


def _run(settings: Settings) -> Check:
    owner = run_owner(settings)
    if owner is not None:
        return Check("Run", State.OK, f"in progress (process {owner.pid})")
    left = leftovers(settings)
    if left:
        found = f"left by a run that was killed: {', '.join(left)}"
        return Check("Run", State.WARNING, found, "Run `k2 down`; `k2 up` ends them, too.")
    return Check("Run", State.OK, "none in progress, nothing left over")


def _nearest_folder(path: Path) -> Path:
    """The path, or where on the way to it something exists."""
    return next(p for p in (path, *path.parents) if p.exists())


def _level(found: int, needed: int, wanted: int) -> State:
    if found < needed:
        return State.MISSING
    return State.OK if found >= wanted else State.WARNING


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"


def _table(checks: list[Check]) -> Table:
    colour = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "red"}
    table = Table("Check", "State", "Found", "What to do", box=None, pad_edge=False)
    for check in checks:
        state = f"[{colour[check.state]}]{check.state.value}[/]"
        table.add_row(check.name, state, check.found, check.remedy)
    return table

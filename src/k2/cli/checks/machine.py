"""The machine: Python, Java, jars, disk, memory and ports."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from k2.cli.checks.check import Check, State, level_of
from k2.errors import ConfigError
from k2.home.ports import is_free, port_owner
from k2.jvm.jars import Group, cached
from k2.jvm.java import find_java
from k2.settings import Settings
from k2.topology import port_of, stream_names

_GIB = 2**30
_DISK_NEEDED, _DISK_WANTED = 1 * _GIB, 5 * _GIB
_MEMORY_NEEDED, _MEMORY_WANTED = 2 * _GIB, 4 * _GIB


def check_machine(settings: Settings, running: bool) -> Iterator[Check]:
    """Look at what every run needs; ``running`` says that one has it already."""
    yield Check("Python", State.OK, ".".join(map(str, sys.version_info[:3])))
    yield _check_java(settings)
    for group in (Group.SPARK, Group.KAFKA, Group.REGISTRY):
        yield _check_jars(group, settings)
    yield _check_home(settings)
    yield _check_disk(settings)
    yield _check_memory(running)
    yield from _check_ports(settings, running)


def nearest_folder(path: Path) -> Path:
    """Return the path, or where on the way to it something exists."""
    return next(p for p in (path, *path.parents) if p.exists())


def _check_java(settings: Settings) -> Check:
    try:
        java = find_java(settings.java_home, settings.java_variable)
    except ConfigError as error:
        return Check("Java", State.MISSING, "none that K2 can use", str(error))
    return Check("Java", State.OK, f"{java.version} in {java.executable.parent.parent}")


def _check_jars(group: Group, settings: Settings) -> Check:
    name = f"{group.value} jars"
    if cached(group, settings.jar_cache) is not None:
        return Check(name, State.OK, f"in {settings.jar_cache}")
    if settings.offline:
        remedy = f"Run `k2 jars --group {group.value}` once with a network and without K2_OFFLINE."
        return Check(name, State.MISSING, "not fetched, and K2_OFFLINE is set", remedy)
    remedy = f"The first run fetches them; or run `k2 jars --group {group.value}` now."
    return Check(name, State.WARNING, "not fetched yet", remedy)


def _check_home(settings: Settings) -> Check:
    nearest = nearest_folder(settings.home)
    try:
        # Permission bits do not tell: the super-user, a read-only or a special file system.
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        found = f"{settings.home}: {nearest} cannot be written ({error.strerror})"
        remedy = "Set K2_HOME to a folder that can be written."
        return Check("K2_HOME", State.MISSING, found, remedy)
    return Check("K2_HOME", State.OK, str(settings.home))


def _check_disk(settings: Settings) -> Check:
    free = shutil.disk_usage(nearest_folder(settings.home)).free
    remedy = "" if free >= _DISK_WANTED else "Make room, or set K2_HOME on another disk."
    return Check("Disk", level_of(free, _DISK_NEEDED, _DISK_WANTED), f"{_gib(free)} free", remedy)


def _check_memory(running: bool) -> Check:
    available = psutil.virtual_memory().available
    found = f"{_gib(available)} available"
    if running:  # and has taken what it needs
        return Check("Memory", State.OK, found)
    state = level_of(available, _MEMORY_NEEDED, _MEMORY_WANTED)
    remedy = "" if state is State.OK else f"K2 takes up to {_gib(_MEMORY_WANTED)}; close something."
    return Check("Memory", state, found, remedy)


def _check_ports(settings: Settings, running: bool) -> Iterator[Check]:
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
            f"taken by {port_owner(port) or 'another process'}",
            f"Stop what holds it, or set K2_{variable}_PORT to another.",
        )


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"

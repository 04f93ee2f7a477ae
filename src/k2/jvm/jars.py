"""Jars by Maven coordinates, fetched once into a cache that all homes share."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from k2.errors import ConfigError, FailedError, UnavailableError
from k2.settings import Settings

_RECORD = "files.json"

Download = Callable[[str, list[str], set[str], Path, Console], list[Path]]


class Group(StrEnum):
    """What the jars are for."""

    SPARK = "spark"
    KAFKA = "kafka"
    REGISTRY = "registry"
    JMX = "jmx"
    AVRO = "avro"


_BESIDE_PYSPARK = (Group.SPARK, Group.AVRO)  # whose jars PySpark has some of


def coordinates(group: Group) -> list[str]:
    """Return the pinned Maven coordinates of a group."""
    pinned = tomllib.loads(Path(__file__).with_name("jars.toml").read_text(encoding="utf-8"))
    return list(pinned[group]["coordinates"])


def spark_jars(settings: Settings) -> list[Path]:
    """Return the jars that ``spark-submit --jars`` needs, fetching them the first time."""
    return resolve(Group.SPARK, settings.jar_cache, offline=settings.offline)


def resolve(
    group: Group,
    cache: Path,
    *,
    offline: bool = False,
    console: Console | None = None,
    fetch: Download | None = None,
) -> list[Path]:
    """Return the jars of a group, fetching them when the cache does not have all of them.

    A second call uses no network. A killed download leaves nothing that a later call would use, and of two
    processes at once one downloads. For the registry this is the jar to run; its libraries lie next to it.

    Args:
        group: which jars.
        cache: folder shared by all homes.
        offline: never ask a repository.
        console: where progress goes; default is stderr.
        fetch: how files come from a repository; default is :func:`k2.jvm.jar_download.download`.

    Raises:
        UnavailableError: something is missing and no repository answers, or none may be asked.
        ConfigError: the cache cannot be written.
        FailedError: the disk is full.
    """
    folder = _folder(group, cache)
    if (jars := cached(group, cache)) is not None:
        return jars
    if offline:
        raise UnavailableError(_missing(group, cache, "K2_OFFLINE is set"))
    console = console or Console(stderr=True)
    with _named_disk_errors(group, cache), _locked(cache, group):
        if (jars := cached(group, cache)) is not None:
            return jars
        _remove_unfinished(group, cache, folder)
        staging = Path(tempfile.mkdtemp(prefix=f".{group}-", dir=cache))
        try:
            _fill(staging / "jars", group, staging, console, fetch or _download())
            (staging / "jars").rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    jars = cached(group, cache)
    if jars is None:
        raise FailedError(f"{folder} was filled and is not whole; remove it and try again.")
    return jars


def cached(group: Group, cache: Path) -> list[Path] | None:
    """Return the jars of a group when the cache has all of them whole, else None."""
    folder = _folder(group, cache)
    try:
        sizes: dict[str, int] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return None
    return [folder / name for name in sorted(sizes) if "/" not in name] if whole else None


def _download() -> Download:
    from k2.jvm.jar_download import download  # slow to import and needed once

    return download


def _folder(group: Group, cache: Path) -> Path:
    key = "\n".join(coordinates(group))
    if group in _BESIDE_PYSPARK:
        key += f"\npyspark {version('pyspark')}"  # its own jars are left out
    return cache / f"{group}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _fill(folder: Path, group: Group, staging: Path, console: Console, fetch: Download) -> None:
    left_out = _pyspark_artifacts() if group in _BESIDE_PYSPARK else set()
    try:
        files = fetch(group, coordinates(group), left_out, staging / "repository", console)
        folder.mkdir()
        for file in files:
            _place(file, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        raise UnavailableError(_missing(group, folder.parent.parent, str(error))) from error
    except (RuntimeError, ValueError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise UnavailableError(_missing(group, folder.parent.parent, str(error))) from error
    sizes = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }
    (folder / _RECORD).write_text(json.dumps(sizes), encoding="utf-8")


def _place(file: Path, folder: Path) -> None:
    if file.name.endswith(".tar.gz"):
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
        return
    with zipfile.ZipFile(file) as jar:
        if broken := jar.testzip():
            raise ValueError(f"{file.name} arrived damaged ({broken})")
    file.rename(folder / file.name)


def _pyspark_artifacts() -> set[str]:
    """Artifacts that Spark ships: a second copy on its class path breaks it."""
    spec = find_spec("pyspark")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("pyspark is not installed; install K2 with its dependencies.")
    jars = Path(spec.submodule_search_locations[0]) / "jars"
    return {re.split(r"-\d", jar.stem, maxsplit=1)[0] for jar in jars.glob("*.jar")}


def _missing(group: Group, cache: Path, why: str) -> str:
    wanted = ", ".join(coordinates(group))
    return (
        f"The {group} jars are not in {cache} and cannot be fetched ({why}): {wanted}. "
        "Run `k2 jars` once with a network."
    )


def _remove_unfinished(group: Group, cache: Path, folder: Path) -> None:
    for left in (folder, *cache.glob(f".{group}-*")):
        if left.exists():
            shutil.rmtree(left)


@contextmanager
def _locked(cache: Path, group: Group) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache / f"{group}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _named_disk_errors(group: Group, cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FailedError(
                f"The disk of {cache} is full while fetching the {group} jars; make room or set "
                "K2_JAR_CACHE elsewhere."
            ) from error
        raise ConfigError(
            f"The jar cache {cache} cannot be used: {error.strerror or error}. "
            "Set K2_JAR_CACHE to a folder that can be written."
        ) from error

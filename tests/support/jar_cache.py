"""A jar cache that has this machine's jars and no archive of classes."""

from collections.abc import Iterable
from pathlib import Path

from k2.jvm.jars import Group, resolve
from k2.settings import Settings


def cache_without_archives(folder: Path, groups: Iterable[Group]) -> Path:
    """Make it in ``folder``; the jars are links, so that none is fetched again."""
    known = Settings.load().jar_cache
    for group in groups:
        resolve(group, known)
    folder.mkdir()
    for entry in known.iterdir():
        if entry.name != "classes":
            (folder / entry.name).symlink_to(entry)
    return folder


def archived(cache: Path) -> set[str]:
    """The programs whose classes are kept."""
    return {path.name.split("-")[0] for path in (cache / "classes").glob("*.jsa")}

"""Tell the Prometheus of a home where processes beside the streams serve their metrics."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k2.home.atomic_files import replace_whole
from k2.home.ports import LOOPBACK
from k2.settings import Settings


def prometheus_folder(settings: Settings) -> Path:
    """Return the folder of the home's Prometheus."""
    return settings.home / "prometheus"


def target_file(settings: Settings, name: str) -> Path:
    """Return the file in which Prometheus finds a process; without it there is none."""
    return prometheus_folder(settings) / "targets" / f"{name}.json"


def write_target(settings: Settings, name: str, port: int | None, driver: str) -> Path:
    """Have Prometheus read a port of this machine, whose series carry ``driver``; without a port none.

    Returns:
        The file that says so.
    """
    file = target_file(settings, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    entry = {"targets": [f"{LOOPBACK}:{port}"], "labels": {"driver": driver}}
    replace_whole(file, json.dumps([entry] if port else []).encode())
    return file


@contextmanager
def scrape_target(settings: Settings, name: str, port: int, driver: str) -> Iterator[None]:
    """Have Prometheus read a port until the block ends.

    A process that is killed leaves its entry, by which its absence is seen.
    """
    file = write_target(settings, name, port, driver)
    yield
    file.unlink(missing_ok=True)

"""The records of a run, and the processes that a killed run left."""

import contextlib
import json

import psutil

from k2.errors import FailedError
from k2.home.paths import HomeLock
from k2.home.service_restarts import forget_restarts
from k2.local.process import ProcessRecord, stop_recorded
from k2.local.services.service import Endpoints
from k2.settings import Settings

_SERVICES = ("prometheus", "alertmanager", "registry", "kafka")
_STOP_SECONDS = 15.0


def read_endpoints(settings: Settings) -> Endpoints | None:
    """Return where the local services of a run in progress listen; None when none runs."""
    if run_owner(settings) is None:
        return None
    try:
        noted = json.loads((settings.run / "endpoints.json").read_text(encoding="utf-8"))
        return Endpoints(str(noted["kafka"]), str(noted["registry"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run_owner(settings: Settings) -> psutil.Process | None:
    """Return the process that owns the home's run in progress; None when none runs."""
    record = ProcessRecord.load(settings.run / "owner.json")
    return record.process() if record else None


def killed_run(settings: Settings) -> ProcessRecord | None:
    """Return the owner of a run that ended without clearing its records; None for any other."""
    record = ProcessRecord.load(settings.run / "owner.json")
    return record if record is not None and record.process() is None else None


def find_orphans(settings: Settings) -> list[str]:
    """Name the services that a killed run left; none while a run is in progress."""
    if run_owner(settings) is not None:
        return []
    records = {name: ProcessRecord.load(settings.run / f"{name}.json") for name in _SERVICES}
    return [
        f"{name} (process {record.pid})"
        for name, record in records.items()
        if record and record.process()
    ]


def clean_orphans(settings: Settings) -> list[str]:
    """End the processes that a killed run left and delete its records; return what was ended.

    Processes are identified by their recorded id, start time and marker, never by name: another program that
    has the id by now is left alone.

    Raises:
        InUseError: the run is alive.
        FailedError: a process cannot be ended.
    """
    if not settings.run.is_dir():
        return []
    home = HomeLock(settings)
    home.acquire()
    try:
        return clear_records(settings)
    finally:
        home.release()


def clear_records(settings: Settings) -> list[str]:
    """Do so for a caller that holds the home's lock."""
    ended = []
    for name in _SERVICES:
        path = settings.run / f"{name}.json"
        record = ProcessRecord.load(path)
        if record is not None:
            try:
                if stop_recorded(record, _STOP_SECONDS):
                    ended.append(f"{name} (process {record.pid})")
            except psutil.Error as error:
                raise FailedError(
                    f"Process {record.pid}, the {name} of a killed run, cannot be ended: {error}. "
                    f"End it yourself, then try again."
                ) from error
        path.unlink(missing_ok=True)
    forget_restarts(settings)
    for name in ("endpoints.json", "monitoring.json", "owner.json"):
        with contextlib.suppress(FileNotFoundError):
            (settings.run / name).unlink()
    return ended

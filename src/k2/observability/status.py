"""The live status of each stream, in numbers that people and programs can read."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil

from k2.home.atomic_files import replace_whole
from k2.home.process_life import is_alive
from k2.observability.kafka_lag import kafka_lag
from k2.settings import Settings

_RATE_SECONDS = 10.0
# Nothing is written while a stream starts, which takes long on a busy machine.
_STALE_SECONDS = 60.0
_ORDER = {"bronze": 0, "silver": 1}  # of layers, as they are shown; Gold's streams come after these


@dataclass
class StreamStatus:
    """One stream, as of its last batch. Counts are since this process started."""

    name: str
    layer: str
    exchange: str | None
    state: str = "starting"  # starting, waiting, running, retrying, paused, failed, stopped
    batch_id: int = -1
    batches: int = 0
    rows: int = 0
    rows_per_second: float = 0.0
    batch_seconds: float = 0.0
    lag: int | None = None  # rows upstream that this stream has not taken
    freshness_seconds: float | None = None  # oldest row's way from the broker, of the last batch
    dead_letters: dict[str, int] = field(default_factory=dict)  # by error type
    duplicates: int = 0
    last_batch_at: str | None = None
    error: str | None = None
    restarts: int = 0
    metrics_port: int | None = None  # None: no metrics, in a run that ends by itself
    _recent: list[tuple[float, int]] = field(default_factory=list, repr=False)

    def took(self, rows: int, dead_letters: Mapping[str, int], now: float) -> None:
        """Count the rows of a batch that ended ``now`` (seconds, monotonic)."""
        self.rows += rows
        for kind, count in dead_letters.items():
            self.dead_letters[kind] = self.dead_letters.get(kind, 0) + count
        self.batches += 1
        self._recent.append((now, rows))

    def progressed(self, progress: Mapping[str, Any] | None) -> None:
        """Record the query's last progress report, if it has one."""
        if not progress:
            return
        self.last_batch_at = progress["timestamp"]
        self.batch_seconds = progress["durationMs"].get("triggerExecution", 0) / 1000
        if self.layer == "bronze":
            self.lag = sum(kafka_lag(source) for source in progress["sources"])

    def refresh(self, now: float) -> None:
        """Work out the rate over the last ten seconds."""
        self._recent = [(at, rows) for at, rows in self._recent if now - at <= _RATE_SECONDS]
        self.rows_per_second = sum(rows for _, rows in self._recent) / _RATE_SECONDS

    def public(self) -> dict[str, Any]:
        """Return the fields for people and programs."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


def freshness(oldest: datetime | None) -> float | None:
    """Return the seconds from a broker timestamp until now."""
    return None if oldest is None else (datetime.now(UTC) - oldest).total_seconds()


def write_status(path: Path, streams: list[StreamStatus], extra: dict[str, Any]) -> None:
    """Write the status file that ``k2 status`` reads; a reader never sees half of it."""
    status = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "written_at": time.time(),
        **extra,
        "streams": [stream.public() for stream in streams],
    }
    replace_whole(path, orjson.dumps(status))


def read_status(path: Path) -> dict[str, Any] | None:
    """Return the last status; None when there is none or it cannot be read."""
    try:
        status = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return status if isinstance(status, dict) else None


def submitted_status_file(settings: Settings, stream: str) -> Path:
    """Return the status file of a stream that runs as a submitted job."""
    return settings.run / "submitted" / f"{stream}.json"


def running(settings: Settings) -> dict[str, Any]:
    """Return the streams that run, in the local run or as submitted jobs, by their own status files."""
    local = _read_live(settings.run / "streams.json") or {}
    submitted = map(_read_live, sorted((settings.run / "submitted").glob("*.json")))
    streams = {
        stream["name"]: stream
        for status in (*submitted, local)
        if status is not None
        for stream in status.get("streams", ())
    }
    return {
        "home": str(settings.home),
        "pid": local.get("pid"),
        "spark_ui": local.get("spark_ui"),
        "streams": sorted(streams.values(), key=lambda stream: _ORDER.get(stream["layer"], 2)),
    }


def _read_live(path: Path) -> dict[str, Any] | None:
    """Return a status file whose process runs and writes it; on another host its age decides alone."""
    status = read_status(path)
    if status is None or time.time() - status["written_at"] >= _STALE_SECONDS:
        return None
    is_here = status.get("host") in (None, socket.gethostname())
    return status if not is_here or _runs(status["pid"]) else None


def _runs(pid: int) -> bool:
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False

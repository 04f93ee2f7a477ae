"""Resource metrics: checkpoint age, table size, host and disk."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import psutil
from deltalake import DeltaTable

from k2.observability.metrics import StreamMetrics


def record_checkpoint(metrics: StreamMetrics, checkpoint: Path, now: float) -> None:
    """Set the age (``now``: seconds since 1970) of the oldest batch planned but not committed."""
    committed = _newest(checkpoint / "commits")
    waiting = [batch for batch in _batches(checkpoint / "offsets") if batch > committed]
    age = 0.0
    if waiting:
        with suppress(OSError):  # Spark cleans up old batches meanwhile
            age = now - (checkpoint / "offsets" / str(min(waiting))).stat().st_mtime
    metrics.set("k2_checkpoint_lag_seconds", max(0.0, age))


def record_table(metrics: StreamMetrics, table: str, stored: DeltaTable) -> None:
    """Set a table's version, files and bytes, all from its log."""
    sizes = stored.get_add_actions(flatten=True)["size_bytes"].to_pylist()
    metrics.set("k2_table_version", stored.version(), table=table)
    metrics.set("k2_table_files", len(sizes), table=table)
    metrics.set("k2_table_bytes", sum(sizes), table=table)


def machine(home: Path) -> dict[str, float]:
    """Return CPU, memory and load of the machine, and the free space on the disk of ``home``.

    CPU is the mean since the last call, so there must be only one caller.
    """
    folder = home if home.exists() else home.anchor
    disk, inodes = shutil.disk_usage(folder), os.statvfs(folder)
    return {
        "k2_host_cpu_usage_ratio": psutil.cpu_percent() / 100,
        "k2_host_memory_usage_ratio": psutil.virtual_memory().percent / 100,
        "k2_host_load1": os.getloadavg()[0],
        "k2_host_cpus": psutil.cpu_count() or 1,
        "k2_disk_free_bytes": disk.free,
        "k2_disk_size_bytes": disk.total,
        # Some file systems make them as they go, and count none.
        "k2_disk_free_inodes_ratio": inodes.f_favail / inodes.f_files if inodes.f_files else 1.0,
    }


def _batches(folder: Path) -> list[int]:
    with suppress(OSError):
        return [int(entry.name) for entry in os.scandir(folder) if entry.name.isdigit()]
    return []


def _newest(folder: Path) -> int:
    return max(_batches(folder), default=-1)

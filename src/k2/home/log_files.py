"""Limit the size of the logs of K2 and its services."""

import shutil
from contextlib import suppress
from pathlib import Path

MAX_LOG_BYTES = 32 * 1024 * 1024


def limit_logs(folder: Path, max_bytes: int = MAX_LOG_BYTES) -> list[Path]:
    """Move the content of each log that is too large to ``<log>.1``, which is replaced; return those logs.

    A process has the log open for appending, so the log is copied and emptied rather than renamed. Lines
    that are written between the two steps are lost.
    """
    limited = []
    with suppress(OSError):  # a log that is gone, or no room for a copy
        for log in sorted(folder.glob("*.log")):
            if log.stat().st_size > max_bytes:
                shutil.copyfile(log, log.with_name(f"{log.name}.1"))
                with log.open("r+b") as file:
                    file.truncate(0)
                limited.append(log)
    return limited

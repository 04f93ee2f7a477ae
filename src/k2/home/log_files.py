"""Logs of K2 and its services that do not grow without end."""

import shutil
from contextlib import suppress
from pathlib import Path

MAX_LOG_BYTES = 32 * 1024 * 1024


def limit_logs(folder: Path, max_bytes: int = MAX_LOG_BYTES) -> list[Path]:
    """Move what is in too large a log to ``<log>.1``, in place of what was there; return those logs.

    Whoever writes to a log has it open, to append: it is copied and emptied, not renamed. Lines that are
    written between the two are lost.
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

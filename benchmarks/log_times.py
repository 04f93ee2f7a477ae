"""When a table's commits were written, also of those that its log does not keep."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from k2.storage.delta_log import log_folder

_LOOK_SECONDS = 5.0  # far less than a log needs to become shorter

Times = dict[str, float]  # commit file → seconds since 1970


@contextmanager
def watched(tables: Sequence[Path]) -> Iterator[dict[str, Times]]:
    """Give the times by table, filled while the block runs and complete after it."""
    found: dict[str, Times] = {table.name: {} for table in tables}
    ending = threading.Event()

    def look() -> None:
        for table in tables:
            times = found[table.name]
            for path in log_folder(table).glob("*[0-9].json"):
                if path.name not in times:
                    times[path.name] = path.stat().st_mtime

    def watch() -> None:
        while not ending.wait(_LOOK_SECONDS):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ending.set()
        thread.join()
        look()

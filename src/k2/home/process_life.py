"""Whether a process still runs."""

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs.

    One that has ended stays a zombie where nobody asks how it did, as in containers without an init.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

"""Limit the memory that allocators retain: by default a process keeps what its threads once used.

The C library keeps a memory pool for each thread, and the Rust writers, which have many threads, keep eight of
their own. Two are enough for two cores.
"""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from k2.periodic import PeriodicTask

_POOLS = 2
_RJEM = f"narenas:{_POOLS},dirty_decay_ms:500,muzzy_decay_ms:0"
# Source: glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _OWN_MAPPING_BYTES = 64 * 1024 * 1024, 4 * 1024 * 1024
_GIVE_BACK_SECONDS = 60.0


def limit_retention() -> None:
    """Make this process and its children retain little freed memory; call it first, before any thread starts."""
    # For child processes; Java's own threads have pools too.
    os.environ["MALLOC_ARENA_MAX"] = str(_POOLS)
    # Arrow's own choice keeps a third more; it looks when it is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    # delta-rs has a jemalloc of its own.
    os.environ.setdefault("_RJEM_MALLOC_CONF", _RJEM)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, _POOLS)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)


@contextmanager
def regularly_given_back() -> Iterator[None]:
    """Inside the block, give back every minute what is free: for a process that lives for weeks."""
    with PeriodicTask("k2-memory", _GIVE_BACK_SECONDS, give_back):
        yield


def give_back() -> None:
    """Give the system what the C library holds free between what is used, which takes 10 ms for 200 MB.

    Of its own accord it gives back only what is behind all that is used.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
